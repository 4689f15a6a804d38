/* What freeonce metrics counts, summed up by unit, before it becomes Prometheus's text.  Labels are
 * bounded: a monitoring system keeps each combination of them for weeks. */
#ifndef FO_CLI_METRICS_METRICS_H
#define FO_CLI_METRICS_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "cli/inspect/target.h"

enum {
    FO_METRICS_UNITS = 50, /* those with most bytes; all others are one, "other" */
    FO_METRICS_ROWS = 20,  /* source files and kinds of objects of a unit, the same */
    FO_METRICS_NAME = 128, /* bytes of a unit's name */
};

/* The kinds of findings.def, and one for those that this command does not know. */
enum fo_metrics_kind {
#define FO_FINDING(KIND, id, free_text, realloc_text) FO_METRICS_##KIND,
#include "report/findings.def"
#undef FO_FINDING
    FO_METRICS_OTHER_KIND,
    FO_METRICS_KINDS
};
extern const char *const fo_metrics_kinds[FO_METRICS_KINDS];

enum fo_metrics_state {
    FO_METRICS_GUARDED,
    FO_METRICS_UNUSED,
    FO_METRICS_UNPROTECTED,
    FO_METRICS_STATES
};

/* Why a process was not read.  That it has ended is none. */
enum fo_metrics_unread {
    FO_METRICS_PERMISSION,
    FO_METRICS_VERSION,
    FO_METRICS_DAMAGED,
    FO_METRICS_UNREAD
};

/* Blocks that have something in common. */
struct fo_metrics_row {
    char *name; /* malloc(3) */
    uint64_t blocks, bytes;
};

struct fo_metrics_rows {
    struct fo_metrics_row *rows; /* malloc(3) */
    size_t count;
};

struct fo_metrics_heap {
    bool is_there;
    uint64_t committed, used;
};

struct fo_metrics_unit {
    char name[FO_METRICS_NAME];
    uint64_t processes[FO_METRICS_STATES], incomplete;
    uint64_t waiting, waiting_bytes, live_bytes;
    struct fo_metrics_heap arena, shm;
    uint64_t shm_filled, shm_most;
    uint64_t findings[FO_METRICS_KINDS];
    struct fo_metrics_rows files, objects;
};

/* A mapping that several processes share: it is read in one of them. */
struct fo_metrics_shared {
    uint64_t device, inode;
};

struct fo_metrics_journal {
    const char *path;
    uint64_t findings[FO_METRICS_KINDS];
};

struct fo_metrics {
    struct fo_metrics_unit *units; /* malloc(3) */
    size_t unit_count;
    struct fo_metrics_shared *seen; /* malloc(3) */
    size_t seen_count;
    uint64_t unread[FO_METRICS_UNREAD];
    struct fo_metrics_journal *journals; /* of the caller */
    size_t journal_count;
};

/* Count a process that has the library. */
void fo_metrics_add(struct fo_metrics *m, struct fo_target *t);

/* Bound the units and rows; call it once, after the last process. */
void fo_metrics_bound(struct fo_metrics *m);

/* Add what a journal has.  FO_EXIT_OK, or another status of exit.h after a message. */
int fo_metrics_read_journal(struct fo_metrics_journal *journal);

void fo_metrics_print(FILE *out, const struct fo_metrics *m);
void fo_metrics_free(struct fo_metrics *m);

/* The unit of systemd that a process belongs to, by its control group; or the group's own name;
 * "none": it is in none. */
void fo_metrics_unit_of(pid_t pid, char name[FO_METRICS_NAME]);

/* What is mapped at this address, if processes share it.  False: they do not. */
bool fo_metrics_shared_at(pid_t pid, uint64_t address, struct fo_metrics_shared *out);

/* The text as DIR/freeonce.prom, whole or not at all.  FO_EXIT_OK, or another status after a
 * message. */
int fo_metrics_textfile(const char *folder, const char *text);

/* The first line of the text, by which such a file is recognised. */
#define FO_METRICS_MARKER "# Made by freeonce metrics"
#define FO_METRICS_FILE   "freeonce.prom"

/* realloc(3) of an array; without memory the command ends. */
void *fo_metrics_grow(void *array, size_t count, size_t size);

#endif
