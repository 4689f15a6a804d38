/* How often each finding was seen, from the first fork on in memory that all processes of the tree
 * share.  report.c counts; a command reads it from outside (load/description.h). */
#ifndef FO_REPORT_COUNTS_H
#define FO_REPORT_COUNTS_H

#include "base/shared_number.h"
#include "report/output.h"

enum {
    FO_KINDS_OF_FINDING = 1024
}; /* distinct ones; each of those beyond is taken for a new one */

/* A finding seen.  The key is a hash of what makes it the same, with its kind; 0: free. */
struct fo_seen {
    struct fo_shared_u64 key, count, printed;
};

static inline uint64_t fo_seen_key(uint64_t hash, unsigned kind)
{
    return (hash & ~UINT64_C(0xff)) | (kind << 1 & 0xff) | 1;
}

/* A number of findings.def, for those who read the key from outside: unchecked. */
static inline unsigned fo_seen_kind(uint64_t key)
{
    return (unsigned)(key >> 1) & 0x7f;
}

struct fo_counts {
    struct fo_unprinted unprinted;
    struct fo_shared_u32 has_findings; /* else the table is all zero, and is not looked at */
    struct fo_seen table[FO_KINDS_OF_FINDING];
};

extern FO_HIDDEN struct fo_counts *fo_counts; /* NULL: nothing was found, and no fork seen */

#endif
