/* With FREEONCE_FAULTS=1: does a signal that can end the process come from use of freed memory? */
#ifndef FO_BLOCK_CRASH_H
#define FO_BLOCK_CRASH_H

#include <ucontext.h>

#include "base/machine.h"
#include "report/record.h"

/* Watch the signals of fault.h from now on. */
void fo_crash_watch(void);

/* crash_search.c: registers and stack at a fault. */

enum { FO_CRASH_WORDS = 1024, FO_CRASH_FRAMES = 16 };

struct fo_crash {
    uintptr_t registers[FO_MACHINE_REGISTERS];
    uintptr_t words[FO_CRASH_WORDS]; /* of the stack, innermost first */
    uintptr_t frames[FO_CRASH_FRAMES];
    unsigned word_count, frame_count;
    unsigned judged; /* pointers that fo_find_freed() has judged so far */
};

/* Copy registers and stack.  Reads no memory that is not mapped. */
void fo_crash_copy(struct fo_crash *crash, const ucontext_t *context);

/* Does a register, or one of the first `words` words of the stack, point to a freed block or into
 * one?  `out` gets what is known of that block. */
bool fo_crash_find_freed(struct fo_crash *crash, unsigned words, struct fo_record *out);

/* Is the value, or a register, the pattern of freed memory, or within 64 KiB of it?  `narrow`: the
 * pattern in 32 bits counts, too. */
bool fo_crash_is_pattern(uintptr_t value);
bool fo_crash_has_pattern(const ucontext_t *context, bool narrow);

#endif
