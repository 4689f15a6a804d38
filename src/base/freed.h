/* The record of one free. */
#ifndef FO_BASE_FREED_H
#define FO_BASE_FREED_H

#include "base/block.h"

/* Kept in the quarantine first, then as a tombstone. */
struct fo_freed {
    uint64_t address; /* of the payload; bit 0: it was never in quarantine */
    fo_site allocated;
    uint64_t word; /* the header's word while it lived */
    fo_site freed;
    uint64_t thread_id; /* process/process.h; its clock orders two records */
    uintptr_t caller;   /* code that freed the OpenSSL object around this block; 0: not known */
    uint64_t stacks;    /* of the allocation << 32, of the free; report/stacks.h */
};

#endif
