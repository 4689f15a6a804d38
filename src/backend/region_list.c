/* See region_list.h. */
#include "backend/region_list.h"

static uint32_t *next_of(const void *elements, size_t size, uint32_t number)
{
    return (uint32_t *)((uintptr_t)elements + size * number);
}

void fo_list_push(fo_list *list, void *elements, size_t size, uint32_t number)
{
    fo_list before = FO_RELAXED_LOAD(list), after;

    do {
        FO_RELAXED_STORE(next_of(elements, size, number), (uint32_t)before);
        after = ((before >> 32) + 1) << 32 | number;
    } while (!__atomic_compare_exchange_n(list, &before, after, true, __ATOMIC_ACQ_REL,
                                          __ATOMIC_RELAXED));
}

uint32_t fo_list_pop(fo_list *list, const void *elements, size_t size, uint32_t *seen)
{
    fo_list before = __atomic_load_n(list, __ATOMIC_ACQUIRE), after;

    do {
        FO_RELAXED_STORE(seen, (uint32_t)before);
        if ((uint32_t)before == 0)
            return 0;
        after =
            ((before >> 32) + 1) << 32 | FO_RELAXED_LOAD(next_of(elements, size, (uint32_t)before));
    } while (!__atomic_compare_exchange_n(list, &before, after, true, __ATOMIC_ACQ_REL,
                                          __ATOMIC_ACQUIRE));
    return (uint32_t)before;
}

/* An element's link changes only while it is in no list, so a walk between two equal looks at the
 * head saw the list as it was. */
enum fo_listed fo_list_has(const fo_list *list, const void *elements, size_t size, uint32_t most,
                           uint32_t number, uint32_t *changes)
{
    fo_list head = __atomic_load_n(list, __ATOMIC_ACQUIRE);
    uint32_t at = (uint32_t)head, steps = 0;

    while (at != 0 && at != number && at < most && steps++ < most)
        at = __atomic_load_n(next_of(elements, size, at), __ATOMIC_ACQUIRE);
    *changes = (uint32_t)(head >> 32);
    if (__atomic_load_n(list, __ATOMIC_ACQUIRE) != head)
        return FO_LISTED_UNKNOWN;
    return at == number ? FO_LISTED_YES : FO_LISTED_NO;
}
