/* See set.h.  All accesses are sequentially consistent: the word of a thing is written before its
 * bit is read here, and read after its bit was cleared (tests/models/set-*.litmus).  The address of
 * a chunk is relaxed, as in layout.h. */
#include "heap/set.h"

enum { BITS = 64 };

static uint64_t bit_of(uint32_t number)
{
    return UINT64_C(1) << number % BITS;
}

/* The lower word of this number, and the upper one of this lower word. */
static uint64_t *lower(const struct fo_set *s, uint32_t number)
{
    uint32_t word = number / BITS;
    uintptr_t chunk = FO_RELAXED_LOAD(&s->chunks[word / s->words]);

    return (uint64_t *)(chunk + s->offset) + (size_t)(word % s->words) * s->row;
}

static uint64_t *upper(const struct fo_set *s, uint32_t word)
{
    return &s->above[(size_t)(word / BITS) * s->row_above];
}

static uint64_t load(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

static bool is_set(const uint64_t *word, uint32_t number)
{
    return (load(word) & bit_of(number)) != 0;
}

static void set(uint64_t *word, uint32_t number)
{
    if (!is_set(word, number))
        __atomic_fetch_or(word, bit_of(number), __ATOMIC_SEQ_CST);
}

/* False: it was not set. */
static bool clear(uint64_t *word, uint32_t number)
{
    return (__atomic_fetch_and(word, ~bit_of(number), __ATOMIC_SEQ_CST) & bit_of(number)) != 0;
}

void fo_set_add(const struct fo_set *s, uint32_t number)
{
    set(lower(s, number), number);
    set(upper(s, number / BITS), number / BITS);
}

bool fo_set_has(const struct fo_set *s, uint32_t number)
{
    return is_set(lower(s, number), number) && is_set(upper(s, number / BITS), number / BITS);
}

/* A lower word is all zero; another thread may be adding to it. */
static void clear_upper(const struct fo_set *s, uint32_t word)
{
    clear(upper(s, word), word);
    if (load(lower(s, word * BITS)) != 0)
        set(upper(s, word), word);
}

/* Take from one of the 64 words whose bits are here.  Another process may have set bits of words
 * that do not exist. */
static uint32_t take_below(const struct fo_set *s, uint32_t above, uint32_t numbers)
{
    uint64_t words;

    while ((words = load(upper(s, above * BITS))) != 0) {
        uint32_t word = above * BITS + (uint32_t)__builtin_ctzll(words);
        if (word * BITS >= numbers)
            return 0;
        uint64_t bits = load(lower(s, word * BITS));
        uint32_t number = bits == 0 ? 0 : word * BITS + (uint32_t)__builtin_ctzll(bits);
        if (bits == 0)
            clear_upper(s, word);
        else if (clear(lower(s, number), number))
            return number;
    }
    return 0;
}

uint32_t fo_set_take(const struct fo_set *s, uint32_t numbers)
{
    uint32_t number = 0;

    for (uint32_t above = 0; number == 0 && above * BITS * BITS < numbers; above++)
        number = take_below(s, above, numbers);
    return number;
}

bool fo_set_is_longer(const struct fo_set *s, uint32_t numbers, uint32_t many)
{
    uint32_t count = 0;

    for (uint32_t word = 0; word * BITS < numbers && count <= many; word++)
        if (is_set(upper(s, word), word))
            count += (uint32_t)__builtin_popcountll(load(lower(s, word * BITS)));
    return count > many;
}
