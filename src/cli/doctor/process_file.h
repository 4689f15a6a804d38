/* What /proc tells of one process.  It may end at any moment: all is read through one descriptor of
 * its folder, which never means another process of the same number. */
#ifndef FO_CLI_DOCTOR_PROCESS_FILE_H
#define FO_CLI_DOCTOR_PROCESS_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "cli/doctor/doctor.h"

struct fo_process_file {
    pid_t pid, parent;
    pid_t own_pid; /* as the process sees itself, in its pid namespace */
    uid_t user;
    gid_t group;
    int folder;         /* /proc/PID */
    char root[32];      /* "/proc/PID/root" */
    char exe[PATH_MAX]; /* its path, as the process sees it */
    char *environment;  /* that it was started with: strings, and an empty one at the end */
    char *maps;         /* lines */
    unsigned seccomp;   /* 0: none, 1: strict, 2: a filter */
    bool secure;        /* AT_SECURE */
    char profile[256];  /* of AppArmor or SELinux; "": none */
    char unit[256];     /* of systemd; "": none */
    struct fo_limits limits;
};

/* An exit status; not FO_EXIT_OK: after a message.  Free it in any case. */
int fo_process_file_read(struct fo_process_file *p, pid_t pid);
void fo_process_file_free(struct fo_process_file *p);

/* What the process was started with; NULL: it has no such variable. */
const char *fo_process_file_variable(const struct fo_process_file *p, const char *name);

/* The path of the first mapped file whose name begins with `beginning` and goes on with a version,
 * ".so", or nothing, in `path`.  *deleted: another file has its place. */
bool fo_process_file_maps(const struct fo_process_file *p, const char *beginning,
                          char path[PATH_MAX], bool *deleted);

#endif
