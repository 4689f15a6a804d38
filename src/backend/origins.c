/* See origins.h. */
#include "backend/origins.h"

#include "base/mapping.h"
#include "heap/region.h"

enum { RANGES_MAX = 16 };

/* Mappings from which blocks came, shared or not.  Each process keeps its own list: a pool that is
 * mapped after a fork is learnt at its first block in the process. */
static FO_BULKY struct fo_mapping ranges[RANGES_MAX];
static unsigned range_count;

static const struct fo_mapping *find_known(uintptr_t address)
{
    unsigned n = __atomic_load_n(&range_count, __ATOMIC_ACQUIRE);

    for (unsigned i = 0; i < n; i++)
        if (address >= ranges[i].start && address < ranges[i].end)
            return &ranges[i];
    return NULL;
}

bool fo_origins_share(uintptr_t address)
{
    const struct fo_mapping *m = find_known(address);

    return (m != NULL && m->shared) || (fo_region_contains(address) && fo_layout.shared);
}

void fo_origins_learn(uintptr_t address)
{
    static uint32_t busy;
    struct fo_mapping m;

    if (fo_likely(find_known(address) != NULL) || range_count == RANGES_MAX ||
        !fo_mapping_find(address, &m))
        return;
    if (!fo_try_exclusive(&busy))
        return; /* another thread learns now; the next block from there tries again */
    if (find_known(address) == NULL && range_count < RANGES_MAX) {
        ranges[range_count] = m;
        __atomic_store_n(&range_count, range_count + 1, __ATOMIC_RELEASE);
    }
    __atomic_store_n(&busy, 0, __ATOMIC_RELEASE);
}
