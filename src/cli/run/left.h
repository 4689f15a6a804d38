/* Folders that killed runs leave: a launcher killed with SIGKILL cannot remove its folder.  The
 * next run of the same user removes it. */
#ifndef FO_CLI_RUN_LEFT_H
#define FO_CLI_RUN_LEFT_H

/* For mkdtemp(3).  Folders of this name have the lock; those of older versions, without a lock,
 * begin with "freeonce." and are not removed. */
#define FO_RUN_FOLDER "freeonce-run.XXXXXX"

/* Acquire the lock of this new folder, before the journal is made in it; returns the descriptor
 * that holds it.  -1: the file system has no such locks (NFS), and no run removes folders there. */
int fo_run_lock(const char *folder);

/* Remove each folder in `tmp` that is of a run of this user whose launcher has ended.  Such a
 * folder has the name, this owner, a journal and no other file in it, and its lock is free. */
void fo_run_remove_orphans(const char *tmp);

#endif
