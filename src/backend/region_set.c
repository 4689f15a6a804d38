/* See region_set.h.  All of it is sequentially consistent: that a thing belongs in the set is said
 * in its word before its bit is looked at here, and looked at there after its bit was taken away.
 */
#include "backend/region_set.h"

enum { BITS = 64, LINE_WORDS = 8 };

static uint32_t divide_up(uint32_t a, uint32_t b)
{
    return (a + b - 1) / b;
}

/* Sets of different things share no cache line. */
size_t fo_set_words(uint32_t numbers)
{
    uint32_t bits = divide_up(numbers, BITS), above = divide_up(bits, BITS);

    return (size_t)divide_up(above + bits, LINE_WORDS) * LINE_WORDS;
}

struct fo_set fo_set_at(uint64_t *words, uint32_t numbers)
{
    return (struct fo_set){words, words + divide_up(divide_up(numbers, BITS), BITS)};
}

static uint64_t bit_of(uint32_t number)
{
    return UINT64_C(1) << number % BITS;
}

static uint64_t look_at(const uint64_t *words, uint32_t number)
{
    return __atomic_load_n(&words[number / BITS], __ATOMIC_SEQ_CST);
}

static bool is_set(const uint64_t *words, uint32_t number)
{
    return (look_at(words, number) & bit_of(number)) != 0;
}

static void set(uint64_t *words, uint32_t number)
{
    if (!is_set(words, number))
        __atomic_fetch_or(&words[number / BITS], bit_of(number), __ATOMIC_SEQ_CST);
}

/* False: it was not set. */
static bool clear(uint64_t *words, uint32_t number)
{
    return (__atomic_fetch_and(&words[number / BITS], ~bit_of(number), __ATOMIC_SEQ_CST) &
            bit_of(number)) != 0;
}

void fo_set_add(const struct fo_set *s, uint32_t number)
{
    set(s->bits, number);
    set(s->above, number / BITS);
}

bool fo_set_has(const struct fo_set *s, uint32_t number)
{
    return is_set(s->bits, number) && is_set(s->above, number / BITS);
}

/* A word of bits is all zero; others may be adding to it. */
static void forget(const struct fo_set *s, uint32_t word)
{
    clear(s->above, word);
    if (__atomic_load_n(&s->bits[word], __ATOMIC_SEQ_CST) != 0)
        set(s->above, word);
}

/* One of the 64 words whose bits are here. */
static uint32_t take_below(const struct fo_set *s, uint32_t above)
{
    uint64_t words;

    while ((words = look_at(s->above, above * BITS)) != 0) {
        uint32_t word = above * BITS + (uint32_t)__builtin_ctzll(words);
        uint64_t bits = __atomic_load_n(&s->bits[word], __ATOMIC_SEQ_CST);
        uint32_t number = bits == 0 ? 0 : word * BITS + (uint32_t)__builtin_ctzll(bits);
        if (bits == 0)
            forget(s, word);
        else if (clear(s->bits, number))
            return number;
    }
    return 0;
}

uint32_t fo_set_take(const struct fo_set *s, uint32_t numbers)
{
    uint32_t number = 0;

    for (uint32_t above = 0; number == 0 && above * BITS * BITS < numbers; above++)
        number = take_below(s, above);
    return number;
}

bool fo_set_exceeds(const struct fo_set *s, uint32_t numbers, uint32_t many)
{
    uint32_t count = 0;

    for (uint32_t word = 0; word * BITS < numbers && count <= many; word++)
        if (is_set(s->above, word))
            count += (uint32_t)__builtin_popcountll(look_at(s->bits, word * BITS));
    return count > many;
}
