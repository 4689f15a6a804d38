/* Was the header of a slot overwritten while it was free?  That does not harm the heap, which
 * trusts no slot, but it is a fault of the program: a write through a stale pointer, or past the
 * end of the block in front.  Called for some slots of each magazine that is used again, and for
 * all that go back to their pages.  Relaxed: the magazine, and so the slot, is the caller's. */
#include "heap/region.h"
#include "process/process.h"
#include "report/record.h"

static bool is_whole(uintptr_t payload)
{
    const struct fo_header *h = fo_header_of(payload);
    fo_site site = FO_RELAXED_LOAD(&h->site);
    uint64_t word = FO_RELAXED_LOAD(&h->word);

    return fo_region_freed_word(fo_layout.key, payload, site, word) == FO_REGION_FREED ||
           fo_header_is_clear(payload);
}

void fo_cell_check(const struct fo_cell *cell)
{
    uintptr_t payload = FO_RELAXED_LOAD(&cell->payload);

    if (payload == 0 || !fo_cell_is_sound(payload) || fo_likely(is_whole(payload)) ||
        !FO_RELAXED_LOAD(&fo_hot.direct))
        return;
    struct fo_freed f;
    fo_region_freed(&(struct fo_at){FO_FOUND_DAMAGED, payload, 0, 0}, &f);
    struct fo_record r = {
        .kind = FO_FINDING_FREED_HEADER,
        .object = "block",
        .answer = "found when it left the quarantine",
        .pointer = payload,
        .block = payload,
    };
    fo_record_freed(&r, &f);
    r.allocated.known = false;
    fo_report(&r);
}
