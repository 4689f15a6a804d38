/* Finds wrong writes: past the end of a block (canaries), and into a block after its free (a
 * pattern).  Switched on by FREEONCE_CANARY and FREEONCE_FILL. */
#ifndef FO_BLOCK_WATCH_H
#define FO_BLOCK_WATCH_H

#include "base/block.h"
#include "base/freed.h"
#include "report/record.h"

/* All bytes between the requested size and the end of the block are canaries, at least so many. */
enum { FO_CANARY_LEAST = 8 };

/* The pattern of freed bytes, chosen after OpenSSL's code.  As a reference count it is positive: a
 * decrement leaves pattern - 1 and frees nothing.  As flags of a BIGNUM it means "on the heap, not
 * static": a second BN_free() calls the hook.  As a pointer it is no address.  Zeros and 0x5A hide
 * a double BN_free(), 0xA5 is a negative count. */
enum { FO_FILL_BYTE = 0x55 };

/* Before a block of this size is returned: write its canary and its allocation stack. */
void fo_watch_allocate(uintptr_t payload, size_t size);

/* The block is being freed or moved: is its canary intact?  Reports if not. */
void fo_watch_check(uintptr_t payload, fo_site allocated, uint64_t word,
                    enum fo_operation operation, fo_site now);

/* Offset behind `size` of the first canary byte that was overwritten, or -1: none. */
long fo_watch_damage(uintptr_t payload, size_t size);

/* Fill a freed payload; check it when it leaves the quarantine, and report a write. */
void fo_watch_fill(uintptr_t payload, size_t size);
void fo_watch_check_fill(const struct fo_freed *freed);

/* A block's allocation stack lies in the last 8 bytes of its room, or in backend guard. */
void fo_stack_keep(uintptr_t payload, size_t size, uint32_t stack);
uint32_t fo_stack_of(uintptr_t payload, size_t size); /* 0: damaged or not known */

#endif
