/* See connections.h. */
#include "shared/connections.h"

#include "process/process.h"
#include "process/rows.h"
#include "shared/inherited.h"

enum { KNOWN = 16384, PROBES = 16, BEING_WRITTEN = 1 };

static FO_BULKY struct known {
    uintptr_t object; /* 0: free; acquired before the others, which are relaxed */
    uint32_t maker;   /* the process's serial number */
    uint32_t forks;   /* so many had been made, by all processes */
    uint32_t freed;   /* serial number of this process, once it has freed it */
} known[KNOWN];

static struct known *place(uintptr_t p, unsigned probe)
{
    uint64_t hash = (p >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 32;

    return &known[(hash + probe) % KNOWN];
}

static struct known *find(uintptr_t p)
{
    for (unsigned i = 0; i < PROBES; i++)
        if (__atomic_load_n(&place(p, i)->object, __ATOMIC_ACQUIRE) == p)
            return place(p, i);
    return NULL;
}

static struct known *claim(uintptr_t p)
{
    for (unsigned i = 0; i < PROBES; i++) {
        uintptr_t nothing = 0;
        if (__atomic_compare_exchange_n(&place(p, i)->object, &nothing, BEING_WRITTEN, false,
                                        __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            return place(p, i);
    }
    return NULL;
}

void fo_connection_made(uintptr_t p)
{
    struct known *k = find(p);

    if (k == NULL && (k = claim(p)) == NULL)
        return;
    FO_RELAXED_STORE(&k->maker, fo_process_serial());
    FO_RELAXED_STORE(&k->forks, fo_row_forks());
    FO_RELAXED_STORE(&k->freed, 0);
    __atomic_store_n(&k->object, p, __ATOMIC_RELEASE);
}

bool fo_connection_is_inherited(uintptr_t p)
{
    const struct known *k = find(p);

    return k != NULL && FO_RELAXED_LOAD(&k->maker) != fo_process_serial() && fo_inherited_has(p);
}

bool fo_connection_is_own(uintptr_t p, uint32_t *forks)
{
    const struct known *k = find(p);

    if (k == NULL || FO_RELAXED_LOAD(&k->maker) != fo_process_serial() || !fo_inherited_is_own(p))
        return false;
    *forks = FO_RELAXED_LOAD(&k->forks);
    return true;
}

bool fo_connection_first_free(uintptr_t p)
{
    struct known *k = find(p);
    uint32_t self = fo_process_serial();

    return k != NULL && __atomic_exchange_n(&k->freed, self, __ATOMIC_ACQ_REL) != self;
}
