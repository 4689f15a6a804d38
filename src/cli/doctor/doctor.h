/* What freeonce doctor finds out: rows, each ok, a warning or a failure in one sentence. */
#ifndef FO_CLI_DOCTOR_DOCTOR_H
#define FO_CLI_DOCTOR_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "cli/doctor/libraries.h"
#include "cli/program.h"

enum fo_row_state {
    FO_ROW_OK,
    FO_ROW_WARNING, /* it may keep the library from working, or what it finds from being seen */
    FO_ROW_FAILURE, /* the program is not guarded because of it */
};

struct fo_row {
    enum fo_row_state state;
    const char *check; /* one word: "openssl" */
    const char *text;  /* a sentence */
    const char *next;  /* the command to type; NULL for a row that is ok */
};

struct fo_doctor {
    const char *target, *kind; /* as the user named it; "program", "process", "unit", "root" */
    const char *library;       /* the one of this command */
    struct fo_row *rows;
    size_t count;
};

/* Add a row.  next: NULL only for FO_ROW_OK. */
void fo_row(struct fo_doctor *d, enum fo_row_state state, const char *check, const char *next,
            const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The worst row. */
enum fo_row_state fo_doctor_worst(const struct fo_doctor *d);

/* Print all rows: as text or as JSON. */
void fo_doctor_text(const struct fo_doctor *d);
void fo_doctor_json(const struct fo_doctor *d);

/* A program as it will be started or runs. */
struct fo_subject {
    const char *name; /* the path that is shown, as it is below `root` */
    const char *path; /* to open it by */
    const char *root; /* where it finds its libraries; "": "/" */
    uid_t user;       /* that starts it */
    gid_t group;
    bool running; /* what the process has loaded is known: only the file itself is looked at */
};

/* program.c: the file, its OpenSSL, its server's recipe, its AppArmor profile. */
void fo_doctor_program(struct fo_doctor *d, const struct fo_subject *subject);
/* The server's own page as the next command, NULL: it has none. */
const char *fo_doctor_page(const char *page);

/* library.c: our library, and libraries that are preloaded beside it. */
void fo_doctor_library(struct fo_doctor *d);
void fo_doctor_preloads(struct fo_doctor *d, const char *root, const char *ld_preload);

/* limits.c */
struct fo_limits {
    unsigned long long addresses, used, locked_memory, locked, file_size, descriptors;
};
void fo_doctor_limits(struct fo_doctor *d, const struct fo_limits *limits, bool guard,
                      bool is_guarded);

/* process.c, unit.c, root.c: what is behind a word of the command line.  An exit status of exit.h;
 * not FO_EXIT_OK: after a message, nothing could be looked at. */
int fo_doctor_process(struct fo_doctor *d, pid_t pid);
int fo_doctor_unit(struct fo_doctor *d, const char *word); /* a name, or the path of a file */
int fo_doctor_root(struct fo_doctor *d, const char *folder);

#endif
