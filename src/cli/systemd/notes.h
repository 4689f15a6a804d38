/* The plan for guarding a unit: settings and notes.  They are collected first, then written into
 * the drop-in and to stderr. */
#ifndef FO_CLI_SYSTEMD_NOTES_H
#define FO_CLI_SYSTEMD_NOTES_H

#include <stdbool.h>

#include "cli/systemd/sandbox.h"
#include "cli/systemd/unit.h"

enum fo_note_kind {
    FO_NOTE,       /* information, also that a setting was checked and is right */
    FO_NOTE_WARN,  /* something may not work as expected */
    FO_NOTE_FATAL, /* the drop-in can have no effect on this unit */
};

/* A plan: the settings of the drop-in, and the notes. */
struct fo_plan {
    struct fo_unit *unit;
    struct fo_sandbox sandbox;
    const char *root;                     /* of the host: "" or --root */
    const char *library;                  /* LD_PRELOAD's first */
    const char *journal;                  /* as the program sees it; may hold %i for a template */
    const char *log;                      /* FREEONCE_LOG; NULL: not set */
    bool log_given;                       /* by --log */
    bool adds_directory;                  /* systemd makes the journal's directory */
    struct fo_list environment, settings; /* lines of the drop-in */
    struct fo_list notes[3];
};

void fo_note(struct fo_plan *plan, enum fo_note_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void fo_setting(struct fo_plan *plan, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* syscalls.c: SystemCallFilter= and RestrictAddressFamilies=. */
void fo_plan_syscalls(struct fo_plan *plan);
bool fo_family_is_allowed(struct fo_unit *unit, const char *family);

/* exec.c: what ExecStart= runs. */
void fo_plan_exec(struct fo_plan *plan);
struct fo_exec {
    const char *program; /* as it is written, specifiers expanded */
    bool outside;        /* "+": outside the sandbox */
    bool as_root;
    const char *wrapper; /* fo_wrapper_in() */
};
/* A line of ExecStart=.  False: it has no program. */
bool fo_exec_read(struct fo_plan *plan, const char *line, struct fo_exec *exec);

/* environment.c: LD_PRELOAD and FREEONCE_..., which the unit may set or unset.  `set` has
 * FREEONCE_NAME=VALUE.  fo_environment_has(): the value that the unit sets `name` to, NULL: none;
 * `*file` is the EnvironmentFile= that sets it, NULL for Environment=. */
void fo_plan_environment(struct fo_plan *plan, const struct fo_list *set);
/* fo_environment_preload(): the value of LD_PRELOAD with ours in it; before: what it is now, NULL
 * where it is not set. */
const char *fo_environment_preload(struct fo_plan *plan, const char *before);
const char *fo_environment_has(struct fo_plan *plan, const char *name, const char **file);

/* `text` quoted, so that systemd reads it as one word.  With `specifiers`, systemd expands %N and
 * others; without, a percent sign stands for itself. */
const char *fo_quoted(const char *text, bool specifiers);

/* places.c: where journal, library and log can be. */
void fo_plan_places(struct fo_plan *plan);

/* limits.c: settings of which users may fear that they break the library. */
void fo_plan_limits(struct fo_plan *plan);
/* Is the soft limit in a value such as 1M:2M or infinity lower? */
bool fo_limit_is_below(const char *value, unsigned long long bytes);

/* dropin.c: the plan as text, which the caller frees. */
void fo_plan_make(struct fo_plan *plan, const struct fo_list *set);
char *fo_plan_text(const struct fo_plan *plan);           /* NULL: no memory */
void fo_plan_print(const struct fo_plan *plan, bool all); /* false: only what is fatal */
void fo_plan_free(struct fo_plan *plan);

#endif
