/* One finding, one record: what every output is made from. */
#ifndef FO_REPORT_RECORD_H
#define FO_REPORT_RECORD_H

#include "base/base.h"
#include "base/block.h"

enum fo_finding_kind {
#define FO_FINDING(KIND, id, free_text, realloc_text) FO_FINDING_##KIND,
#include "report/findings.def"
#undef FO_FINDING
};

enum fo_operation { FO_OPERATION_FREE, FO_OPERATION_REALLOC, FO_OPERATION_REFERENCE };

/* A place in a program: an OpenSSL source line, and the process and thread that were there. */
struct fo_place {
    bool known;
    fo_site site;
    uint32_t process; /* index into the table of processes; 0: not known */
    uint32_t thread;  /* 0: main, or not known */
    uintptr_t caller; /* code that called OpenSSL; 0: not known */
    uint32_t stack;   /* report/stacks.h */
};

struct fo_record {
    enum fo_finding_kind kind;
    enum fo_operation operation;
    const char *object; /* "block", or the OpenSSL type */
    const char *answer; /* what was done: "skipped" */
    const char *memory; /* for foreign pointers: what they point to */
    const char *verb;   /* for faults: what was done to the block: "read" */
    uintptr_t pointer;  /* as passed in */
    uintptr_t block;    /* payload concerned */
    size_t size;
    size_t offset; /* of the pointer, or of the first byte that was overwritten */
    struct fo_place allocated, first, now;
    bool racing; /* the first free takes place at this moment */
    struct {     /* of leaks: how many blocks, all their bytes; and those that only they lead to */
        size_t blocks, bytes, held, held_bytes;
    } lost;
    struct {
        uintptr_t block; /* the block below that was written past its end; 0: none */
        size_t size;
        fo_site allocated;
    } neighbour;
};

/* Fill in what the record of a free has: size, allocation, first free. */
struct fo_freed;
void fo_record_freed(struct fo_record *record, const struct fo_freed *freed);

/* Report it: text, count, and what FREEONCE_ON_ERROR asks for.  Allocates nothing, takes no lock,
 * calls no OpenSSL. */
void fo_report(const struct fo_record *record);

/* The same at the end of the process, for what was seen so many times; what FREEONCE_ON_ERROR asks
 * for is not done. */
void fo_report_at_end(const struct fo_record *record, uint64_t times);

/* This process is ending because of FREEONCE_ON_ERROR=abort. */
extern bool fo_report_ends;

/* Print the counts of repeated findings that were not printed yet. */
void fo_report_counts(void);

/* To be called before a fork: from now on the processes of this tree share the table of counts.
 * Without memory for it, each has its own. */
void fo_report_before_fork(void);

/* The record as text into t. */
struct fo_text;
void fo_record_text(struct fo_text *t, const struct fo_record *record);

/* "ssl/ssl_lib.c:3168 by nginx+0x41" */
void fo_place_text(struct fo_text *t, const struct fo_place *place);

#endif
