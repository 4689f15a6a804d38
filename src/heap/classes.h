/* Which size class does a block belong to, and how large are its slots?  16 bytes apart up to 256,
 * then eight to a doubling: OpenSSL's median block has 16 to 32 bytes, and seven of eight have no
 * more than 128, so that the fine steps are where the blocks are.  Above 4 KiB slots, not payloads,
 * are multiples of 512 bytes: eight of 7,696 (an SSL of OpenSSL 3.0) would touch a page of the
 * system more than eight of 7,680. */
#ifndef FO_HEAP_CLASSES_H
#define FO_HEAP_CLASSES_H

#include "base/block.h"

enum {
    FO_REGION_SMALL = 8192, /* payloads up to so many bytes have a class; larger ones have pages */
    FO_REGION_WHOLE = 4096, /* above, slots are multiples of 512 bytes, except the last class */
    FO_REGION_CLASSES = 16 + 5 * 8,
    FO_REGION_STEPS = FO_REGION_SMALL >> 4,
};

/* Bytes of the largest payload of a class; with the header, a slot. */
static inline uint32_t fo_class_payload(unsigned class)
{
    if (class < 16)
        return (class + 1) * 16;
    unsigned doubling = (class - 16) / 8, step = (class - 16) % 8 + 1;
    uint32_t bytes = (256u << doubling) + step * (32u << doubling);
    return bytes <= FO_REGION_WHOLE || bytes == FO_REGION_SMALL
               ? bytes
               : bytes - (uint32_t)sizeof(struct fo_header);
}

static inline uint32_t fo_class_slot(unsigned class)
{
    return fo_class_payload(class) + (uint32_t)sizeof(struct fo_header);
}

/* The class of a payload of 1 to FO_REGION_SMALL bytes. */
unsigned fo_region_class_of(size_t size);

/* A class costs a page of the system and two magazines, however few its blocks are.  So a young
 * heap uses one class for several, the largest of them: 18 in all.  Those beside it are used once
 * FO_COARSE_MOST bytes of it were handed out. */
enum { FO_COARSE_MOST = 16 << 10 };

static inline unsigned fo_class_coarse(unsigned class)
{
    return class < 4 ? class : class < 8 ? class | 1 : class | 3;
}

/* `fine` has a bit for each coarse class whose neighbours are used, too. */
static inline unsigned fo_class_as(uint64_t fine, unsigned class)
{
    unsigned coarse = fo_class_coarse(class);

    return (fine >> coarse & 1) != 0 ? class : coarse;
}
_Static_assert(FO_REGION_CLASSES <= 64, "a bit for each");

#endif
