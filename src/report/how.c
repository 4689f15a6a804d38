/* See how.h. */
#include "report/how.h"

#include "base/format.h"

struct fo_how fo_how;

/* Of two OpenSSLs in a process, the one that is guarded matters. */
void fo_how_keep(enum fo_journal_guard guard, const char *how)
{
    struct fo_text t = {fo_how.text, sizeof fo_how.text - 1, 0};

    if (guard == FO_JOURNAL_UNPROTECTED && fo_how.guard == FO_JOURNAL_GUARDED)
        return;
    fo_put_clean(&t, how, sizeof fo_how.text - 1);
    fo_how.text[t.used] = '\0';
    __atomic_store_n(&fo_how.guard, guard, __ATOMIC_RELEASE);
}
