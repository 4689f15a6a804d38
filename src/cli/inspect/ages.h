/* How many looks in a row have seen a block?  A block is known by its address, its site and its
 * size: one that is freed and allocated again by the same line between two looks, with the same
 * size at the same address, is taken for the same. */
#ifndef FO_CLI_INSPECT_AGES_H
#define FO_CLI_INSPECT_AGES_H

#include <stddef.h>
#include <stdint.h>

enum { FO_AGES_MOST = 1 << 22 }; /* blocks that are followed; 32 to 64 bytes each */

struct fo_age {
    uint64_t block; /* a hash of what it is known by; 0: the row is free */
    uint64_t looks;
};

struct fo_ages {
    struct fo_age *now, *before; /* hash tables; malloc(3) */
    size_t now_room, now_used, before_room;
    uint64_t not_followed; /* blocks of this look beyond the limit */
};

/* Returns how many looks in a row have seen it, with this one. */
uint64_t fo_ages_see(struct fo_ages *a, uint64_t payload, uint64_t site, uint64_t size);

/* The next look begins. */
void fo_ages_next(struct fo_ages *a);

void fo_ages_free(struct fo_ages *a);

#endif
