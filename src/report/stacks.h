/* Call stacks of allocations and frees, on request (FREEONCE_STACKS=frames).  A stack is kept once,
 * in a depot that all processes of the tree share, and named by a number. */
#ifndef FO_REPORT_STACKS_H
#define FO_REPORT_STACKS_H

#include "base/base.h"
#include "base/shared_number.h"

enum { FO_STACK_MAX = 32, FO_STACK_SAMPLED = 24 }; /* frames */
enum { FO_STACK_WORDS = 1 << 23 };                 /* of the depot, at most */

/* A stack is a word with its length and the keyed hash of its frames, and its frames; its number is
 * where it starts.  Any process of the tree can have written any of it. */
struct fo_stack_depot {
    struct fo_shared_u32 used, count; /* words, and how many there are */
    struct fo_shared_u32 slots[1 << 17];
    struct fo_shared_u64 words[];
};
extern struct fo_stack_depot *fo_stack_depot;

/* For leaks, stacks of allocations are enough, and not of all: the first ones of each line and
 * size, then one in FO_STACKS_RATE. */
enum { FO_STACKS_FIRST = 256, FO_STACKS_RATE = 16 };
extern FO_HIDDEN bool fo_stacks_for_leaks;

/* Is the stack of this allocation one to keep?  To be asked once for each allocation. */
bool fo_stack_is_due(uint64_t site, size_t size);

/* Map the depot.  False: no memory. */
bool fo_stacks_start(void);

/* Keep the calling thread's stack, without frames of this library.  0: not known (the depot is
 * full, or the unwinder is not there).  glibc's unwinder is not signal-safe, so reports keep law 5
 * only where no stacks were asked for.  Must not be called first in a constructor that runs before
 * libc's: the first call loads the unwinder. */
uint32_t fo_stack_capture(void);

/* The same for an allocation that FREEONCE_SAMPLE has chosen. */
uint32_t fo_stack_sample(void);

/* Keep a stack that was found in another way; at most FO_STACK_MAX frames. */
uint32_t fo_stack_put(const uintptr_t *frames, unsigned count);

/* The return addresses of a stack, innermost first.  Returns how many. */
unsigned fo_stack_frames(uint32_t stack, uintptr_t *out, unsigned room);

#endif
