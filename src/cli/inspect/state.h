/* What freeonce status, top and metrics know of one process: is it guarded, how, and what does the
 * library hold there? */
#ifndef FO_CLI_INSPECT_STATE_H
#define FO_CLI_INSPECT_STATE_H

#include <jansson.h>

#include "cli/inspect/blocks.h"
#include "cli/inspect/settings.h"
#include "cli/inspect/tally.h"
#include "report/journal_format.h"

enum { FO_HOW_MOST = 4096 };

struct fo_state {
    struct fo_target target;
    enum fo_journal_guard guard;
    char how[FO_HOW_MOST];
    struct fo_blocks blocks;
    struct fo_tally processes; /* by the process that allocated the block */
    struct fo_setting settings[FO_OPTION_COUNT];
    uint64_t kinds, findings; /* distinct ones, and all */
    uint64_t findings_at;     /* address of their table, which the processes of a tree share */
    const char *loaded;       /* what made the dynamic linker load the library */
    uint64_t started;         /* nanoseconds since 1970; 0: not known */
};

/* Of a process whose library was found: state.target is filled in.  Free it afterwards. */
void fo_state_read(struct fo_state *s);
void fo_state_free(struct fo_state *s);

/* state_show.c: for people, and as a JSON object. */
void fo_state_text(const struct fo_state *s);
json_t *fo_state_json(struct fo_state *s);
/* Of a process that has no library. */
json_t *fo_state_json_without(const struct fo_target *t);

#endif
