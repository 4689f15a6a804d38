/* Where may a program keep its pointers?  Reads the writable memory of this process word by word:
 * variables, stacks, libc's heap, everything but what is to be skipped.  Memory that was never
 * touched is not read, so that it does not become memory.  Other threads may run meanwhile: memory
 * that they unmap is left out. */
#ifndef FO_BLOCK_ROOTS_H
#define FO_BLOCK_ROOTS_H

#include "base/base.h"

enum { FO_ROOTS_PIECE = 64 * 1024, FO_ROOTS_SKIPPED = 512 };

struct fo_range {
    uintptr_t start, end;
};

/* So many words, read at `start`. */
typedef void fo_roots_visit(void *context, uintptr_t start, const uintptr_t *words, size_t count);

struct fo_roots {
    fo_roots_visit *visit;
    void *context;
    uintptr_t *piece; /* FO_ROOTS_PIECE bytes to read to */
    uintptr_t stack;  /* of the calling thread: what is in use of it begins here */
    bool in_place;    /* read memory where it is: only while no other thread runs */
    uint64_t until;   /* fo_roots_now() when it has to end */
    struct fo_range skipped[FO_ROOTS_SKIPPED];
    size_t skips;
};

/* Nanoseconds of a clock that only goes forward. */
uint64_t fo_roots_now(void);

/* False: no room for another one. */
bool fo_roots_skip(struct fo_roots *r, uintptr_t start, uintptr_t end);

/* Skip the library's variables, its heap and what else it has that names blocks. */
bool fo_roots_skip_own(struct fo_roots *r);

/* Read all.  NULL; or why it cannot be done, in words. */
const char *fo_roots_read(struct fo_roots *r);

/* Read one piece, of whole words, FO_ROOTS_PIECE bytes at most, and visit it.  False: it cannot be
 * read. */
bool fo_roots_read_piece(struct fo_roots *r, uintptr_t start, size_t size);

#endif
