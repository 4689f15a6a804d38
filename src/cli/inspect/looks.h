/* One look at several processes: a row for each.  For freeonce status and top. */
#ifndef FO_CLI_INSPECT_LOOKS_H
#define FO_CLI_INSPECT_LOOKS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "cli/inspect/chosen.h"

enum fo_look_state {
    FO_LOOK_GUARDED,
    FO_LOOK_YET,         /* it has the library, and has not used OpenSSL */
    FO_LOOK_UNPROTECTED, /* it has the library, which could not get in front of OpenSSL */
    FO_LOOK_UNKNOWN,     /* a library that this command does not understand */
    FO_LOOK_NOT_GUARDED, /* no library, and it has loaded OpenSSL */
    FO_LOOK_NO_OPENSSL,  /* no library, and no OpenSSL that it could be in front of */
    FO_LOOK_UNREADABLE,  /* this user may not read it */
};

/* Blocks that one process of the tree allocated; it may have ended. */
struct fo_look_part {
    uint64_t row; /* of that process in the tree's own table */
    uint64_t blocks, bytes;
    bool is_own;
};

struct fo_look {
    enum fo_look_state state;
    pid_t pid, parent;
    uid_t user;
    bool only_counted; /* not in the table: of all processes, one without OpenSSL, or unreadable */
    unsigned depth;    /* below the process of these that is its ancestor */
    char name[16];     /* clean */
    uint64_t started;
    uint64_t live, live_bytes;
    struct fo_look_part *parts; /* live blocks by the process that allocated them; malloc(3) */
    size_t part_count;
    /* Allocated by the process itself, or by one that has no row: then they are counted for the
     * first process of the tree that has them. */
    uint64_t own, own_bytes;
    uint64_t waiting_bytes, committed;
    unsigned shared_used;             /* per cent of backend shm's memory */
    bool is_shared, complete;         /* complete: all of it could be read */
    uint64_t findings, findings_tree; /* of its tree of processes; 0: not shared */
    int64_t growth, growth_all;       /* of live_bytes: since the last look, since the first one */
};

struct fo_looks {
    struct fo_look *rows; /* malloc(3) */
    size_t count;
    size_t by_state[FO_LOOK_UNREADABLE + 1];
    uint64_t own, own_bytes, findings; /* of all rows, each counted once */
};

/* Reads each process; in the order of trees.  documents: an array to which each process's status is
 * added, too; NULL: none. */
void fo_looks_read(struct fo_looks *looks, const struct fo_chosen *chosen, json_t *documents);
void fo_looks_free(struct fo_looks *looks);

/* A status of exit.h. */
int fo_looks_status(const struct fo_looks *looks, const struct fo_chosen *chosen);

/* looks_show.c: the table, and who may not be read. */
void fo_looks_table(const struct fo_looks *looks, const struct fo_chosen *chosen);
void fo_looks_unreadable(const struct fo_looks *looks, FILE *out);
const char *fo_look_words(enum fo_look_state state);
const char *fo_user_name(uid_t user); /* in static storage */

#endif
