/* See secure.h.  OpenSSL's crypto/mem_sec.c is a buddy allocator whose state is one structure of
 * static variables, the same in all versions from 1.1.0 to 4.0.  It is found by its form: ten
 * words, of which six follow from the others.  Where it has another form, no secure heap is found:
 * nothing is reported, and nothing refused.
 *
 * Relaxed: OpenSSL changes these words at this moment, and what is read is checked as a whole. */
#include "block/secure.h"

#include "process/process.h"

enum { LIBRARIES = 8, SMALLEST = 16, REMEMBERED = 256 };

/* As OpenSSL lays it out. */
struct state {
    uintptr_t map, map_size;
    uintptr_t arena, arena_size;
    uintptr_t lists, lists_count; /* of free blocks: of all the arena, of halves of it, ... */
    uintptr_t smallest;
    uintptr_t bits_known, bits_live; /* arrays of bits, one for each block of each size */
    uintptr_t bits_count;
};

static struct library {
    struct fo_module module;
    uintptr_t start, end;      /* its variables that are zero at first */
    const struct state *state; /* where it was found; NULL: not yet */
} libraries[LIBRARIES];
static unsigned library_count;

void fo_secure_watch(const struct fo_module *libcrypto)
{
    struct library l = {.module = *libcrypto};
    unsigned n = __atomic_load_n(&library_count, __ATOMIC_ACQUIRE);

    if (n == LIBRARIES || !fo_elf_zeros(libcrypto, &l.start, &l.end))
        return;
    libraries[n] = l;
    __atomic_store_n(&library_count, n + 1, __ATOMIC_RELEASE);
}

static bool is_power(uintptr_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

/* Another thread may be changing it. */
static struct state read_state(const struct state *from)
{
    struct state s;
    const uintptr_t *words = (const uintptr_t *)from;
    uintptr_t *copy = (uintptr_t *)&s;

    for (size_t i = 0; i < sizeof s / sizeof *words; i++)
        copy[i] = FO_RELAXED_LOAD(&words[i]);
    return s;
}

static bool is_state(const struct state *s)
{
    return is_power(s->arena_size) && is_power(s->smallest) && s->smallest >= SMALLEST &&
           s->bits_count / 2 == s->arena_size / s->smallest && s->bits_count % 16 == 0 &&
           s->map_size > s->arena_size && s->arena - s->map == (s->map_size - s->arena_size) / 2 &&
           s->lists_count == (uintptr_t)(63 - __builtin_clzl(s->bits_count)) && s->lists != 0 &&
           s->bits_known != 0 && s->bits_live != 0;
}

static bool contains(const struct state *s, uintptr_t p)
{
    return p - s->arena < s->arena_size && is_state(s);
}

static bool find_in(struct library *l, uintptr_t p, struct state *out)
{
    const struct link_map *map = fo_elf_map(l->start);
    const struct state *known = FO_RELAXED_LOAD(&l->state);

    if (map == NULL || map->l_ld != l->module.dynamic) /* it was unloaded */
        return false;
    if (known != NULL) {
        *out = read_state(known);
        return contains(out, p);
    }
    for (uintptr_t at = l->start; at + sizeof *out <= l->end; at += sizeof(uintptr_t)) {
        const struct state *s = (const struct state *)at;
        if (p - FO_RELAXED_LOAD(&s->arena) >= FO_RELAXED_LOAD(&s->arena_size))
            continue;
        *out = read_state(s);
        if (contains(out, p)) {
            FO_RELAXED_STORE(&l->state, s);
            return true;
        }
    }
    return false;
}

static bool find_state(uintptr_t p, struct state *out)
{
    for (unsigned i = 0, n = __atomic_load_n(&library_count, __ATOMIC_ACQUIRE); i < n; i++)
        if (find_in(&libraries[i], p, out))
            return true;
    return false;
}

static bool is_set(uintptr_t bits, size_t at)
{
    return (FO_RELAXED_LOAD((const uint8_t *)bits + at / 8) >> at % 8 & 1) != 0;
}

struct fo_secure_at fo_secure_at(uintptr_t p)
{
    struct state s;

    if (!find_state(p, &s))
        return (struct fo_secure_at){FO_SECURE_ELSEWHERE, 0, 0};
    for (unsigned list = 0; list < s.lists_count; list++) {
        size_t size = s.arena_size >> list, number = (p - s.arena) / size;
        if (is_set(s.bits_live, ((size_t)1 << list) + number))
            return (struct fo_secure_at){FO_SECURE_LIVE, s.arena + number * size, size};
    }
    return (struct fo_secure_at){FO_SECURE_NO_BLOCK, 0, 0};
}

/* --- what was freed ---------------------------------------------------------------------------
 */

static FO_BULKY struct fo_freed freed[REMEMBERED];
static uint32_t freed_count;

void fo_secure_remember(const struct fo_secure_at *at, fo_site now)
{
    (void)fo_process_self();
    struct fo_freed *f = &freed[__atomic_fetch_add(&freed_count, 1, __ATOMIC_RELAXED) % REMEMBERED];

    FO_RELAXED_STORE(&f->address, 0);
    __atomic_thread_fence(__ATOMIC_RELEASE); /* a part of the new record comes with a new address */
    FO_RELAXED_STORE(&f->word, (uint64_t)at->size << FO_SIZE_SHIFT);
    FO_RELAXED_STORE(&f->freed, now);
    FO_RELAXED_STORE(&f->thread_id, fo_thread_id());
    FO_RELAXED_STORE(&f->caller, fo_thread.caller);
    __atomic_store_n(&f->address, at->block, __ATOMIC_RELEASE);
}

bool fo_secure_find_freed(uintptr_t p, struct fo_freed *out)
{
    uint32_t count = __atomic_load_n(&freed_count, __ATOMIC_ACQUIRE);

    for (uint32_t i = 1; i <= REMEMBERED; i++) {
        const struct fo_freed *f = &freed[(count - i) % REMEMBERED];
        if (__atomic_load_n(&f->address, __ATOMIC_ACQUIRE) != p)
            continue;
        *out = (struct fo_freed){.address = p,
                                 .word = FO_RELAXED_LOAD(&f->word),
                                 .freed = FO_RELAXED_LOAD(&f->freed),
                                 .thread_id = FO_RELAXED_LOAD(&f->thread_id),
                                 .caller = FO_RELAXED_LOAD(&f->caller)};
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (FO_RELAXED_LOAD(&f->address) == p) /* not another record by now */
            return true;
    }
    return false;
}
