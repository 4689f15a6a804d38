/* What is this pointer, that was passed to free or realloc and does not start a live block? */
#ifndef FO_BLOCK_VERDICT_H
#define FO_BLOCK_VERDICT_H

#include "report/record.h"

/* The end of the frame of a function that refuses a pointer.  Right above it, its callers have
 * saved their caller's registers, unless they reached it by a tail call. */
extern FO_HIDDEN __thread uintptr_t fo_verdict_frame;
#define FO_VERDICT_SET_FRAME() (fo_verdict_frame = (uintptr_t)__builtin_dwarf_cfa())

/* Judge it and report.  Accepts any 64-bit value; reads only memory that is known to be mapped.
 * Returns the kind of finding, so that the caller can pass a foreign pointer on. */
FO_COLD enum fo_finding_kind fo_judge_pointer(uintptr_t p, enum fo_operation operation,
                                              fo_site now);

/* CRYPTO_secure_free() was called for p, which lies in a secure heap and starts no live block
 * there: report. */
FO_COLD void fo_wrong_secure_free(uintptr_t p, fo_site now);

/* libc's `function` was called for a live block, and `answer` is what is about to be done: report.
 * A block with a damaged header is not reported here, but by the function that acts on it. */
FO_COLD void fo_libc_call(uintptr_t payload, enum fo_operation operation, const char *function,
                          const char *answer);

/* The same for malloc_usable_size(); returns the size of a live block, else 0. */
FO_COLD size_t fo_libc_usable_size(uintptr_t p);

/* The program passes p as an object of this type, to be freed or referenced: if it is freed
 * already, report and return true.  `remembered`: a tombstone counts; it must not where objects
 * come from allocators that freeonce does not see. */
FO_COLD bool fo_freed_object(uintptr_t p, const char *type, enum fo_operation operation,
                             bool remembered);

/* OpenSSL's `function` was called to use an object of this type: if it is freed, report. */
FO_COLD void fo_used_object(uintptr_t p, const char *type, const char *function);

/* OpenSSL's `function` was called to change an object of this type that another process made, and
 * `answer` is what is about to be done: report. */
FO_COLD void fo_changed_object(uintptr_t p, const char *type, const char *function,
                               const char *answer);

/* Is p a freed block, or inside one?  `out` gets what is known of it; nothing is reported.
 * fo_can_be_freed() is a quick check before, for any value. */
FO_COLD bool fo_find_freed(uintptr_t p, struct fo_record *out);
FO_COLD bool fo_can_be_freed(uintptr_t p);

/* A live block with a damaged header: report.  The block must be marked DAMAGED before. */
FO_COLD void fo_damaged_block(uintptr_t payload, enum fo_operation operation, fo_site now);

#endif
