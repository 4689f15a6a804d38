/* Folders that runs leave behind: a launcher that is killed with SIGKILL cannot remove its own. The
 * next run of the same user does. */
#ifndef FO_CLI_RUN_LEFT_H
#define FO_CLI_RUN_LEFT_H

/* For mkdtemp(3).  The name stands for the lock: versions without it said "freeonce.", and their
 * folders are left alone. */
#define FO_RUN_FOLDER "freeonce-run.XXXXXX"

/* A descriptor that holds the lock of this new folder; taken before the journal is made in it.  -1:
 * the file system has no such locks (NFS), and no run removes anything there. */
int fo_run_lock(const char *folder);

/* Remove each folder in `tmp` that is provably one of this user's runs, and whose launcher is gone:
 * its name, its owner, a journal in it and nothing else, and no lock. */
void fo_run_remove_left(const char *tmp);

#endif
