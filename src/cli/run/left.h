/* Folders that runs leave behind: a launcher that is killed with SIGKILL cannot remove its own. The
 * next run of the same user does. */
#ifndef FO_CLI_RUN_LEFT_H
#define FO_CLI_RUN_LEFT_H

#define FO_RUN_FOLDER "freeonce.XXXXXX" /* for mkdtemp(3) */

/* A descriptor that holds the lock of this new folder; taken before the journal is made in it.  -1
 * with errno. */
int fo_run_lock(const char *folder);

/* Remove each folder in `tmp` that is provably one of this user's runs, and whose launcher is gone:
 * its name, its owner, a journal in it and nothing else, and no lock. */
void fo_run_remove_left(const char *tmp);

#endif
