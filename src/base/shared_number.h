/* Numbers in memory that other processes can write.
 *
 * A worker that gave up its rights can still write every shared page that its parent mapped.  So
 * such a page holds numbers, and never a pointer.  Each number has one of the two types below, and
 * is read by one of the functions below, which load it once: a second load could give another
 * value.  An index is compared with its bound there; any other number is only counted, compared or
 * printed.  The one text is a process's name, which is copied and cleaned (process/rows.h). */
#ifndef FO_BASE_SHARED_NUMBER_H
#define FO_BASE_SHARED_NUMBER_H

#include "base/base.h"

struct fo_shared_u32 {
    uint32_t raw;
};

struct fo_shared_u64 {
    uint64_t raw;
};

/* The name of a process, cut to this size; it may lack its NUL. */
struct fo_shared_name {
    char raw[16];
};

/* An index below `bound`.  0 if the number is not: row 0 of these tables is no row. */
static inline uint32_t fo_shared_index(const struct fo_shared_u32 *x, uint32_t bound)
{
    uint32_t index = __atomic_load_n(&x->raw, __ATOMIC_ACQUIRE);

    return index < bound ? index : 0;
}

/* The value of either type; never use it to address anything. */
#define fo_shared_number(x)      __atomic_load_n(&(x)->raw, __ATOMIC_ACQUIRE)
#define fo_shared_set(x, value)  __atomic_store_n(&(x)->raw, (value), __ATOMIC_RELEASE)
#define fo_shared_swap(x, value) __atomic_exchange_n(&(x)->raw, (value), __ATOMIC_ACQ_REL)

/* Returns the value before. */
#define fo_shared_add(x, n) __atomic_fetch_add(&(x)->raw, (n), __ATOMIC_ACQ_REL)

/* True: it was *before, and is `value` now.  False: *before gets its value. */
#define fo_shared_replace(x, before, value)                                                        \
    __atomic_compare_exchange_n(&(x)->raw, (before), (value), false, __ATOMIC_ACQ_REL,             \
                                __ATOMIC_ACQUIRE)

#endif
