/* Saved heaps in the order of their times: what a chart of live bytes shows.  Each file is input.
 */
#ifndef FO_CLI_INSPECT_SNAPSHOTS_H
#define FO_CLI_INSPECT_SNAPSHOTS_H

#include "cli/inspect/saved.h"

enum {
    FO_SNAPSHOTS_MOST = 512,   /* files */
    FO_SNAPSHOTS_GREATEST = 8, /* rows that a chart names; all others are one */
};

struct fo_amount {
    uint64_t blocks, bytes;
};

struct fo_snapshot {
    struct fo_saved saved;                            /* without its document */
    uint64_t when;                                    /* nanoseconds since 1970 */
    struct fo_amount rows[FO_SNAPSHOTS_GREATEST + 1]; /* as the course's; the others follow them */
    struct fo_amount all;
};

/* Snapshots of one process, counted by one thing: they can be compared. */
struct fo_course {
    const struct fo_snapshot *list; /* by time, no two with the same */
    size_t count;
    const char *rows[FO_SNAPSHOTS_GREATEST]; /* the greatest ever, the greatest first */
    size_t row_count;
    size_t other_count; /* rows that are counted together, by what the files name */
    bool has_others;    /* some bytes are in none of the rows */
};

struct fo_snapshots {
    struct fo_snapshot *list; /* by course */
    size_t count;
    struct fo_course *courses;
    size_t course_count;
    struct fo_snapshot_left {
        const char *path, *why;
    } * left; /* files that are in no course */
    size_t left_count;
    bool is_reordered; /* the files were not named in the order of their times */
};

/* Is this file a text that begins as a saved heap does?  No message. */
bool fo_snapshots_is_one(const char *path);

/* At most FO_SNAPSHOTS_MOST paths, which stay the caller's.  FO_EXIT_OK, or the status of the first
 * file that is in no course, each after a message. */
int fo_snapshots_read(struct fo_snapshots *s, char *const *paths, size_t count);
void fo_snapshots_free(struct fo_snapshots *s);

#endif
