/* The 16 bytes in front of every payload: what they hold, how they are packed and checked.
 *
 *   site  [ line : 16 ][ file : 48 ]                       the OpenSSL source line that allocated
 *   word  [ size : 34 ][ pad8 : 1 ][ backend : 3 ][ process : 10 ][ state : 2 ][ check : 14 ]
 *
 * file is the address of the caller's __FILE__ string, so that a site costs no table and no hash;
 * 48 bits hold every user address (base.h).  A line above 65,535 is recorded as 65,535.  pad8 is
 * set if the backend's block starts 8 bytes before the header: some programs' pools align to 8.
 * check is keyed with a secret of the process tree and covers everything but state. */
#ifndef FO_BASE_BLOCK_H
#define FO_BASE_BLOCK_H

#include "base/base.h"

typedef uint64_t fo_site;

struct fo_header {
    fo_site site;
    uint64_t word;
};
_Static_assert(sizeof(struct fo_header) == 16, "payloads stay 16-byte aligned (law 8)");

enum fo_state { FO_STATE_LIVE = 1, FO_STATE_FREED = 2 }; /* 0 and 3: a damaged header */

enum {
    FO_STATE_SHIFT = 14,
    FO_META_SHIFT = 16, /* everything above the state: process, backend, pad8, size */
    FO_PROCESS_BITS = 10,
    FO_BACKEND_SHIFT = FO_META_SHIFT + FO_PROCESS_BITS,
    FO_BACKEND_BITS = 3,
    FO_PAD8_SHIFT = FO_BACKEND_SHIFT + FO_BACKEND_BITS,
    FO_SIZE_SHIFT = FO_PAD8_SHIFT + 1,
    FO_CHECK_BITS = 14,
    FO_LINE_MAX = 0xffff,
};
_Static_assert(FO_META_SHIFT == 16, "state and check are the lower 16 bits, see fo_is_live()");
_Static_assert(FO_SIZE_SHIFT + 34 == 64, "the fields fill the word");

#define FO_SIZE_MAX   ((UINT64_C(1) << 34) - 64) /* larger requests fail as out of memory */
#define FO_CHECK_MASK ((UINT64_C(1) << FO_CHECK_BITS) - 1)

/* The backend that allocated a block.  The block goes back to the same backend (law 6). */
enum fo_backend_id {
    FO_BACKEND_NONE, /* in no header, so that a header of zeros counts as damaged */
    FO_BACKEND_LIBC,
    FO_BACKEND_HOST,
    FO_BACKEND_PLUGIN,
    FO_BACKEND_GUARD,   /* on top of another backend; backend/guard.h */
    FO_BACKEND_ARENA,   /* and `shm`; heap/region.h */
    FO_BACKEND_SAMPLED, /* the process's own backend; the block's stack is kept: block/sample.h */
    FO_BACKEND_COUNT,
};
_Static_assert(FO_BACKEND_COUNT <= 1 << FO_BACKEND_BITS, "the number fits the header");

static inline fo_site fo_site_pack(const char *file, int line)
{
    unsigned kept = (unsigned)line;
    if (fo_unlikely(kept > FO_LINE_MAX))
        kept = FO_LINE_MAX;
    return (fo_site)kept << 48 | (fo_site)(uintptr_t)file;
}

static inline const char *fo_site_file(fo_site site)
{
    return (const char *)(uintptr_t)(site << 16 >> 16);
}

static inline int fo_site_line(fo_site site)
{
    return (int)(site >> 48);
}

static inline size_t fo_word_size(uint64_t word)
{
    return (size_t)(word >> FO_SIZE_SHIFT);
}

static inline unsigned fo_word_backend(uint64_t word)
{
    return (unsigned)(word >> FO_BACKEND_SHIFT) & ((1u << FO_BACKEND_BITS) - 1);
}

static inline unsigned fo_word_process(uint64_t word)
{
    return (unsigned)(word >> FO_META_SHIFT) & ((1u << FO_PROCESS_BITS) - 1);
}

static inline size_t fo_word_pad(uint64_t word)
{
    return (word >> FO_PAD8_SHIFT & 1) * 8;
}

/* A keyed hash in two multiplications: the product of both halves of x * key; its topmost bits are
 * used.  One multiplication alone (Dietzfelbinger and others 1997) is linear in its key, so that a
 * few results reveal the key.  Multiplying by the upper half of the first product, as in folded
 * multiplication (wyhash and others), makes an equation of both halves of that. */
static FO_ALWAYS_INLINE uint64_t fo_keyed_hash(uint64_t key, uint64_t x)
{
#ifdef __x86_64__ /* gcc's own code for 128 bits copies x, or saves registers on the stack */
    uint64_t low, high;

    __asm__("mulq %3" : "=a"(low), "=d"(high) : "0"(x), "rm"(key) : "cc");
    return high * low;
#else
    unsigned __int128 product = (unsigned __int128)x * key;

    return (uint64_t)(product >> 64) * (uint64_t)product;
#endif
}

/* The check bits for a header at this payload address. */
static inline uint64_t fo_check(uint64_t secret, uintptr_t payload, fo_site site, uint64_t word)
{
    uint64_t meta = word >> FO_META_SHIFT << FO_META_SHIFT;

    return fo_keyed_hash(secret, (site ^ meta) + payload) >> (64 - FO_CHECK_BITS);
}

/* Do state and check bits match a live block at this address? */
static inline bool fo_is_live(uint64_t secret, uintptr_t payload, fo_site site, uint64_t word)
{
    return (uint16_t)word == (uint16_t)((unsigned)FO_STATE_LIVE << FO_STATE_SHIFT |
                                        fo_check(secret, payload, site, word));
}

static inline uint64_t fo_word_freed(uint64_t word)
{
    return word ^ (uint64_t)(FO_STATE_LIVE ^ FO_STATE_FREED) << FO_STATE_SHIFT;
}

static inline struct fo_header *fo_header_of(uintptr_t payload)
{
    return (struct fo_header *)(payload - sizeof(struct fo_header));
}

static inline void *fo_block_base(uintptr_t payload, uint64_t word)
{
    return (void *)(payload - sizeof(struct fo_header) - fo_word_pad(word));
}

#endif
