/* How much a cache keeps: what waits there, and what is ready or empty beyond that.  Called when
 * caches are made or claimed, and when slots are taken from pages again.  Relaxed: limits, of which
 * an old one serves as well. */
#include "heap/owner.h"

#include "options/options.h"

enum { FEW_USERS = 24 }; /* eight threads have that many caches, of their own and for a call */

uint32_t fo_caches_users(void)
{
    const struct fo_caches owned = fo_caches_owned(), lent = fo_caches_lent();
    uint32_t users = fo_caches_made(&owned) + fo_caches_made(&lent);

    return users != 0 ? users : 1;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t bytes_of_magazine(unsigned class)
{
    return (size_t)fo_class_slot(class) * fo_layout.class[class].cells[1];
}

/* Shares of the option's bytes: most for the sizes that are freed most.  What waits passes through
 * the processor's cache between its free and its next use, so it must not be more than that: about
 * a half with all classes in use, besides the two magazines of each that are in use.
 *
 * Every fourth block has one of the two smallest sizes, so that a stale pointer meets another block
 * soon unless many wait: up to FEW_USERS users have a whole share of those each. */
static size_t share_of(unsigned class, uint32_t users)
{
    size_t share = fo_options.quarantine / (class < 8 ? 64 : class < 16 ? 128 : 512);

    return share / (class < 2 && !fo_layout.shared ? (users + FEW_USERS - 1) / FEW_USERS : users);
}

/* A quarter of all magazines may be empty ones that bins keep for themselves, and a half full ones
 * that have waited. */
static size_t spares_for(uint32_t users)
{
    return fo_layout.magazine_count / 4 / FO_REGION_CLASSES / users;
}

static size_t ready_for(uint32_t users)
{
    return 1 + fo_layout.magazine_count / 2 / FO_REGION_CLASSES / users;
}

static size_t most_ready(unsigned class, uint32_t users)
{
    return least(2 + FO_BURST / users / bytes_of_magazine(class), ready_for(users));
}

void fo_cache_limit(struct fo_cache *cache)
{
    uint32_t users = fo_caches_users();

    for (unsigned c = 0; c < FO_REGION_CLASSES; c++) {
        struct fo_bin *bin = &cache->bins[c];
        size_t keep = share_of(c, users) / bytes_of_magazine(c);
        size_t most = most_ready(c, users), now = FO_RELAXED_LOAD(&bin->most);
        /* A slot that another thread has freed shares cache lines with slots that the other
         * one still uses: the sooner it is used again, the slower.  Processes seldom free each
         * other's blocks; and many threads with a magazine of each size exceed the option. */
        if (keep == 0 && fo_options.quarantine != 0 && !fo_layout.shared && users <= FEW_USERS)
            keep = 1;
        FO_RELAXED_STORE(&bin->keep, (uint32_t)least(keep, 1u << 20));
        FO_RELAXED_STORE(&bin->most, (uint32_t)least(most, now != 0 ? now : FO_READY_AT_FIRST));
        FO_RELAXED_STORE(&bin->most_spares, (uint16_t)least(most, spares_for(users)));
    }
}

/* A magazine beyond the quarantine takes memory for its cells, and saves the way through the pages.
 * A program that frees and allocates the same sizes repeatedly gains by that.  A program that frees
 * for the last time does not: a short one that ends, or a worker that closes its connection. */
void fo_cache_raise_limits(struct fo_bin *bin, unsigned class)
{
    uint32_t own = FO_RELAXED_LOAD(&bin->most),
             all = FO_RELAXED_LOAD(&fo_region->ready_most[class]);

    FO_RELAXED_STORE(&bin->most,
                     (uint32_t)least(own + own / 4 + 1, most_ready(class, fo_caches_users())));
    FO_RELAXED_STORE(&fo_region->ready_most[class],
                     (uint32_t)least(all + all / 4 + 1, 2 + FO_BURST / bytes_of_magazine(class)));
}
