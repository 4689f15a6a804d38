/* A file that root changes in a folder of another user: the cluster's owner can put anything there.
 */
#ifndef FO_CLI_SYSTEMD_CLUSTER_FILE_H
#define FO_CLI_SYSTEMD_CLUSTER_FILE_H

#include <stdbool.h>
#include <sys/stat.h>

#include "cli/exit.h"

struct fo_cluster_file {
    const char *path;
    char *text;
    int folder; /* the file is looked up and written here */
    bool is_open;
    struct stat is;
};

bool fo_cluster_file_exists(const struct fo_cluster_file *file);

/* A message where the result is not FO_EXIT_OK.  Only a regular file of one name is read, whose
 * owner is root or that of its folder. */
enum fo_exit fo_cluster_file_read(struct fo_cluster_file *file);

/* Whole or not at all, in place of what was read; owner and mode stay. */
enum fo_exit fo_cluster_file_write(const struct fo_cluster_file *file, const char *text);

void fo_cluster_file_close(struct fo_cluster_file *file);

#endif
