/* Where does a run keep its journal? */
#ifndef FO_CLI_RUN_FILES_H
#define FO_CLI_RUN_FILES_H

struct fo_run_files {
    char journal[4096]; /* absolute */
    char folder[4096];  /* ours, to be removed; empty: none */
};

/* Make an empty journal at path, in place of one that is there, or (NULL) in a folder of its own in
 * TMPDIR.  FO_EXIT_OK, or an exit status after a message. */
int fo_run_files_make(struct fo_run_files *files, const char *path);

/* Remove what is in TMPDIR. */
void fo_run_files_remove(const struct fo_run_files *files);

#endif
