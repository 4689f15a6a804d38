/* The file of a run's journal. */
#ifndef FO_CLI_RUN_FILES_H
#define FO_CLI_RUN_FILES_H

#include <stdbool.h>

struct fo_run_files {
    char journal[4096]; /* absolute */
    char folder[4096];  /* made for this run, to be removed; empty: none */
    int lock;           /* of the folder, held while the run lasts */
};

/* Make an empty journal at path, in place of an older one, or (NULL) in a new folder in TMPDIR,
 * /tmp, /var/tmp, XDG_RUNTIME_DIR or /dev/shm, the first that can be written.  any_user: processes
 * of all users may write to it (mode 0666).  FO_EXIT_OK, or an exit status after a message. */
int fo_run_files_make(struct fo_run_files *files, const char *path, bool any_user);

/* Remove that folder. */
void fo_run_files_remove(const struct fo_run_files *files);

#endif
