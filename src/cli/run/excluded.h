/* Guarded processes that cannot write the journal, as those of another user or in another file name
 * space: they tell the launcher, through an abstract socket, which they reach all the same. */
#ifndef FO_CLI_RUN_EXCLUDED_H
#define FO_CLI_RUN_EXCLUDED_H

#define FO_RUN_NAME_SIZE 32

/* The socket, and its name for FO_RUN_VARIABLE; -1 after a warning. */
int fo_run_listen(char name[FO_RUN_NAME_SIZE]);

/* Add to the journal how many have written to the socket, up to the limit of its queue, and close
 * it. */
void fo_run_count_excluded(int socket, const char *journal);

#endif
