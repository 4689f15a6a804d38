/* A library in a process: its description (load/description.h), and what is read by that of the
 * library's own variables. */
#ifndef FO_CLI_INSPECT_TARGET_H
#define FO_CLI_INSPECT_TARGET_H

#include "cli/inspect/source.h"
#include "load/description.h"

struct fo_target {
    struct fo_source *source;
    struct fo_description d;
    const char *library; /* its file; of the source's mappings */

    uint64_t secret, key; /* of check bits */
    bool direct;          /* the heap judges its blocks, and not the registry */
    bool shared, guard;
    uint64_t registry; /* address of its root; 0: it is empty */
    uint64_t tree;     /* address; 0: no OpenSSL was seen */
    uint32_t row;      /* of the process in it; 0: not known */
    uint64_t region;   /* address; 0: there is no heap of ours */
    uint64_t base, committed;
    bool is_shared_heap;        /* backend shm */
    uint32_t page_count, pages; /* at most, and used so far */
};

enum fo_target_found {
    FO_TARGET_FOUND,
    FO_TARGET_NO_LIBRARY, /* the process has none */
    FO_TARGET_OLDER,      /* one that has no description */
    FO_TARGET_OTHER,      /* a description of another version: target.d.version */
    FO_TARGET_DAMAGED,    /* what it says cannot be */
    FO_TARGET_UNREADABLE, /* source.why */
};

enum fo_target_found fo_target_find(struct fo_target *t, struct fo_source *s);

/* Says why it was not found; returns a status of exit.h. */
int fo_target_explain(const struct fo_target *t, enum fo_target_found found);

/* A number of a struct that lies at `address` in the process.  False: it cannot be read. */
bool fo_target_number(struct fo_target *t, uint64_t address, const struct fo_field *field,
                      uint64_t *out);

/* The same in a copy of the struct. */
uint64_t fo_target_number_in(const void *copy, const struct fo_field *field);

/* Where the table of findings is in the process; 0: it has none yet. */
uint64_t fo_target_findings(struct fo_target *t);

/* Call this with the key and the count of each finding in the table there; report/counts.h. */
void fo_target_findings_read(struct fo_target *t, uint64_t table,
                             void (*each)(void *data, uint64_t key, uint64_t count), void *data);

/* Name and pid of a process of the tree.  Returns its parent's row; 0: none. */
struct fo_target_process {
    uint32_t pid; /* 0: not known */
    uint32_t parent;
    char name[20];
};
void fo_target_process(struct fo_target *t, uint32_t row, struct fo_target_process *out);

/* "ssl/ssl_lib.c:3168", or "?". */
enum { FO_SITE_TEXT = 176 };
void fo_target_site(struct fo_target *t, uint64_t site, char text[FO_SITE_TEXT]);

#endif
