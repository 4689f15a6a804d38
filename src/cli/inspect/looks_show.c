/* A look at several processes, for people.  See looks.h. */
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/inspect/looks.h"
#include "cli/inspect/show.h"

const char *fo_look_words(enum fo_look_state state)
{
    static const char *const words[] = {"guarded",     "not used yet", "unprotected", "unknown",
                                        "not guarded", "no OpenSSL",   "unreadable"};

    return words[state];
}

const char *fo_user_name(uid_t user)
{
    static char number[16];
    const struct passwd *entry = getpwuid(user);

    snprintf(number, sizeof number, "%u", user);
    return entry != NULL ? entry->pw_name : number;
}

static void print_row(const struct fo_look *r)
{
    char text[4][FO_GROUPED];
    bool has_library = r->state <= FO_LOOK_UNPROTECTED;

    printf("%8d  %-12s", (int)r->pid, fo_look_words(r->state));
    if (has_library)
        printf(" %12s %15s %15s %9s", fo_grouped(r->live, text[0]),
               fo_grouped(r->live_bytes, text[1]), fo_grouped(r->own_bytes, text[2]),
               fo_grouped(r->findings, text[3]));
    else
        printf(" %12s %15s %15s %9s", "-", "-", "-", "-");
    printf("  %*s%s", (int)(r->depth < 16 ? 2 * r->depth : 32), "", r->name);
    if (r->is_shared)
        printf(" (shared memory: %u %% used)", r->shared_used);
    puts(r->complete ? "" : " (not all of it was read)");
}

/* "2 of user www-data, 1 of root" */
void fo_looks_unreadable(const struct fo_looks *l, FILE *out)
{
    const char *separator = "";
    size_t all = l->by_state[FO_LOOK_UNREADABLE];
    bool *seen = all != 0 ? calloc(l->count + 1, sizeof *seen) : NULL;

    if (seen == NULL)
        return;
    fprintf(out, "%zu process%s may not be read: ", all, all == 1 ? "" : "es");
    for (size_t i = 0; i < l->count; i++) {
        size_t n = 0;
        for (size_t j = i; j < l->count; j++)
            if (l->rows[j].state == FO_LOOK_UNREADABLE && l->rows[j].user == l->rows[i].user &&
                !seen[j]) {
                seen[j] = l->rows[i].state == FO_LOOK_UNREADABLE;
                n += seen[j];
            }
        if (n == 0)
            continue;
        fprintf(out, "%s%zu of user %s", separator, n, fo_user_name(l->rows[i].user));
        separator = ", ";
    }
    fputs(geteuid() != 0 ? "; root can read them\n"
                         : "; root has no right to them here (CAP_SYS_PTRACE)\n",
          out);
    free(seen);
}

void fo_looks_table(const struct fo_looks *l, const struct fo_chosen *chosen)
{
    char text[2][FO_GROUPED];
    size_t shown = 0;

    printf("%s: %zu process%s, %zu guarded\n", fo_chosen_words(chosen), l->count,
           l->count == 1 ? "" : "es", l->by_state[FO_LOOK_GUARDED]);
    for (size_t i = 0; i < l->count; i++) {
        if (l->rows[i].only_counted)
            continue;
        if (shown++ == 0)
            printf("%8s  %-12s %12s %15s %15s %9s  %s\n", "PID", "STATE", "LIVE BLOCKS",
                   "LIVE BYTES", "OWN BYTES", "FINDINGS", "PROCESS");
        print_row(&l->rows[i]);
    }
    if (l->by_state[FO_LOOK_GUARDED] != 0)
        printf("in all: %s live blocks, %s bytes, each counted once; findings seen %llu times\n",
               fo_grouped(l->own, text[0]), fo_grouped(l->own_bytes, text[1]),
               (unsigned long long)l->findings);
    if (l->by_state[FO_LOOK_NO_OPENSSL] != 0)
        printf("%zu process%s without OpenSSL\n", l->by_state[FO_LOOK_NO_OPENSSL],
               l->by_state[FO_LOOK_NO_OPENSSL] == 1 ? "" : "es");
    if (l->by_state[FO_LOOK_UNKNOWN] != 0)
        puts("unknown: the library there is not of this command's version; freeonce status PID "
             "says more");
    fo_looks_unreadable(l, stdout);
}
