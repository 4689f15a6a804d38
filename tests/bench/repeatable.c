/*
 * How can two runs of a TLS handshake execute the same instructions? Keys, nonces and blinding are
 * drawn at random, and the length of a signature and the number of big-number steps follow from
 * them. Here OpenSSL's generator still does its whole work (its cost and its allocations belong to
 * a handshake), and what it drew is then replaced by a fixed sequence.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "bench.h"

#include <string.h>
#include <openssl/rand.h>

static uint64_t drawn; /* the state of the sequence that replaces OpenSSL's */

/* SplitMix64 (Steele, Lea, Flood 2014): passes OpenSSL's checks on keys, needs no set-up. */
uint64_t bench_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static int replayed_bytes(unsigned char *buffer, int length)
{
    if (length < 0 || RAND_OpenSSL()->bytes(buffer, length) != 1)
        return 0;
    for (size_t at = 0, end = (size_t)length; at < end;) {
        uint64_t word = bench_random(&drawn);
        size_t n = end - at < sizeof word ? end - at : sizeof word;

        memcpy(buffer + at, &word, n);
        at += n;
    }
    return 1;
}

static int always_seeded(void)
{
    return 1;
}

void bench_repeatable_random(uint64_t seed)
{
    static const RAND_METHOD method = {
        .bytes = replayed_bytes,
        .pseudorand = replayed_bytes,
        .status = always_seeded,
    };

    drawn = seed;
    if (RAND_set_rand_method(&method) != 1)
        bench_fail_openssl("the random generator cannot be replaced");
}
