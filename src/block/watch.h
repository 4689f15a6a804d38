/* Writes that should not have happened: past the end of a block (canaries), and into a block after
 * its free (a pattern).  On request: FREEONCE_CANARY and FREEONCE_FILL. */
#ifndef FO_BLOCK_WATCH_H
#define FO_BLOCK_WATCH_H

#include "base/block.h"
#include "base/freed.h"
#include "report/record.h"

/* All bytes between the size that was asked for and the end of the block are canaries, and at least
 * so many. */
enum { FO_CANARY_LEAST = 8 };

/* The pattern of freed bytes.  What it is matters (seen in OpenSSL's code): as a reference count it
 * is positive, so that a count that is dropped shows as pattern - 1 and frees nothing; as flags of
 * a BIGNUM it reads "on the heap, not static", so that a second BN_free comes to us; as a pointer
 * it is no address.  Zeros hide a double BN_free, 0x5A does too, 0xA5 is a negative count. */
enum { FO_FILL_BYTE = 0x55 };

/* Prepare a block of this size that is about to be handed out: its canary, its stack. */
void fo_watch_begin(uintptr_t payload, size_t size);

/* The block is being freed or moved: is its canary whole?  Reports if not. */
void fo_watch_end(uintptr_t payload, fo_site allocated, uint64_t word, enum fo_operation operation,
                  fo_site now);

/* Offset behind `size` of the first canary byte that was overwritten, or -1: whole. */
long fo_watch_damage(uintptr_t payload, size_t size);

/* Fill a freed payload; look at it when it leaves the quarantine, and report what was written. */
void fo_watch_fill(uintptr_t payload, size_t size);
void fo_watch_leave(const struct fo_freed *freed);

/* A block's allocation stack lies in the last 8 bytes of its room. */
void fo_stack_keep(uintptr_t payload, size_t size, uint32_t stack);
uint32_t fo_stack_of(uintptr_t payload, size_t size); /* 0: damaged or not known */

#endif
