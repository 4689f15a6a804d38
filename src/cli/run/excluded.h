/* Guarded processes that cannot write the journal, such as those of another user or in another
 * mount namespace: they write to an abstract socket of the launcher, which they can reach. */
#ifndef FO_CLI_RUN_EXCLUDED_H
#define FO_CLI_RUN_EXCLUDED_H

#define FO_RUN_NAME_SIZE 32

/* The socket, and its name for FO_RUN_VARIABLE; -1 after a warning. */
int fo_run_listen(char name[FO_RUN_NAME_SIZE]);

/* Write into the journal how many processes have written to the socket, up to the limit of its
 * queue, and close the socket. */
void fo_run_count_excluded(int socket, const char *journal);

#endif
