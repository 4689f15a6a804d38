/* Which processes does a word of the command line mean: a PID, a unit of systemd, a name, all? */
#ifndef FO_CLI_INSPECT_CHOSEN_H
#define FO_CLI_INSPECT_CHOSEN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum fo_chosen_kind { FO_CHOSEN_PID, FO_CHOSEN_UNIT, FO_CHOSEN_NAME, FO_CHOSEN_ALL };

struct fo_chosen {
    enum fo_chosen_kind kind;
    const char *name;  /* "nginx.service", "nginx"; valid until the process ends */
    const char *group; /* of a unit: its control group; NULL: found by the unit's name */
    pid_t *pids;       /* in ascending order, without this command's own; malloc(3) */
    size_t count;
};

/* `pid` is not 0: that process.  Returns FO_EXIT_OK and the processes of now, or another status of
 * exit.h after a message: there is no such unit or process.  Free it in any case. */
int fo_chosen_find(struct fo_chosen *c, pid_t pid, const char *word);

/* The processes of a unit, by its whole name, without a message.  False: it has none. */
bool fo_chosen_unit(struct fo_chosen *c, const char *name);

/* Once more: which are they now? */
void fo_chosen_scan(struct fo_chosen *c);

void fo_chosen_free(struct fo_chosen *c);

/* "unit nginx.service"; in static storage. */
const char *fo_chosen_words(const struct fo_chosen *c);

#endif
