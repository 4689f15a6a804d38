/* Which options were in force?  The first guarded process writes its own; the others are compared
 * with them. */
#include <string.h>

#include "options/options.h"
#include "report/journal.h"

static uint64_t hash_of(const char *text, size_t size)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
    return hash | 1; /* 0: free */
}

void fo_journal_write_settings(void)
{
    char text[sizeof fo_journal->settings.text];
    uint32_t state = FO_JOURNAL_FREE;

    if (!fo_journal_is_usable())
        return;
    struct fo_journal_settings *s = &fo_journal->settings;
    memset(text, 0, sizeof text);
    fo_options_list(text, sizeof text);
    uint64_t key = hash_of(text, sizeof text);
    if (__atomic_compare_exchange_n(&s->row.state, &state, FO_JOURNAL_WRITING, false,
                                    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        s->row.key = key;
        memcpy(s->text, text, sizeof s->text);
        fo_journal_finish(&s->row, s->text, sizeof s->text);
    } else if (state == FO_JOURNAL_WRITTEN && s->row.key != key) {
        __atomic_add_fetch(&s->others, 1, __ATOMIC_RELAXED); /* relaxed: a count */
    }
}
