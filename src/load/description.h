/* What a command reads of a process from outside: where the library keeps what it knows of the
 * blocks, and how that is laid out.  The library has one constant of this struct
 * (freeonce_description), and a note in its ELF file, of the name "freeonce", leads there.  The
 * command reads both from the memory of the process or from its core file, and needs no other
 * knowledge of the library's structs, so that it understands a library of another build as long as
 * the version is the same.
 *
 * The version counts what numbers cannot say: this struct itself, the hash of the check bits, the
 * fields of a header, how the states of a slot are encoded, the root of the registry, and the kind
 * in the key of a finding.  A change of one of these needs another FO_DESCRIPTION_VERSION. */
#ifndef FO_LOAD_DESCRIPTION_H
#define FO_LOAD_DESCRIPTION_H

#include <stdint.h>

#define FO_DESCRIPTION_MAGIC "FREEONCE" /* without a NUL */

enum {
    FO_DESCRIPTION_VERSION = 2,
    FO_NOTE_DESCRIPTION = 1, /* type of the note: its version, and how far behind itself that
                              * second word the description begins, 32 bits each */
    FO_DESCRIBED_CLASSES = 64,
};
#define FO_NOTE_NAME "freeonce"

/* A number in a struct. */
struct fo_field {
    uint32_t offset;
    uint32_t size; /* 1, 2, 4 or 8 bytes */
};

/* Things of the same size, one after another. */
struct fo_rows {
    uint32_t offset; /* of the first */
    uint32_t stride;
    uint32_t count; /* at most */
};

struct fo_description {
    char magic[8];
    uint32_t version;
    uint32_t size;    /* of this struct */
    char library[16]; /* its version, for people */

    uint64_t hot, layout;   /* addresses of structs */
    uint64_t region;        /* address of a pointer to one; 0: there is no heap of ours */
    uint64_t findings;      /* the same; counts that processes share */
    uint64_t how;           /* address of a struct */
    uint64_t options;       /* address of a struct */
    uint64_t option_names;  /* and of text: NAME, NUL, kind, NUL, choices, NUL for each option */
    uint64_t option_places; /* and of a struct fo_field for each option, in the same order */
    uint32_t option_count, option_names_size;

    struct { /* in the hot struct */
        struct fo_field secret, direct, shared, guard;
        struct fo_field entered; /* address: root of the registry; 0: it is empty */
        struct fo_field tree;    /* address: processes; 0: no OpenSSL was seen */
        struct fo_field process; /* address: of this process's page */
    } in_hot;
    struct fo_field process_row; /* in the process's page: its row in the table */

    struct { /* in the layout */
        struct fo_field base, key, page_count, shared;
        struct fo_rows groups; /* addresses of groups of pages; 0: not there */
    } in_layout;
    struct fo_field region_committed; /* in the region: bytes from base */
    struct fo_field region_pages;     /* pages used so far */

    struct { /* in a group of pages */
        struct fo_rows pages;
        struct fo_rows bitmaps; /* a set bit: the slot is free and in its page */
        struct fo_field what, class, used, word;
    } in_group;
    struct {
        uint32_t run_shift, run_mask; /* in `what` of a page: how many pages its run has */
        uint32_t state_mask;
        uint32_t block, slots; /* states; from `slots` on, pages of slots */
        uint32_t page_shift;
        uint32_t freed, held; /* bits of a header's word that differ from a live block's */
        uint32_t large;       /* and of a large one's */
        uint32_t clear;       /* a word up to this, with site 0: no block was there yet */
    } value;
    uint32_t class_slot[FO_DESCRIBED_CLASSES]; /* bytes of a slot; 0: no such class */

    struct { /* fields of a header's word */
        uint32_t size_shift, process_shift, process_bits;
        uint32_t check_bits, live; /* where the registry knows the blocks: state and check bits */
    } word;

    struct {                   /* in the root of the registry */
        struct fo_rows claims; /* part of the address space + 1; 0: free */
        struct fo_rows leaves; /* where the leaf would begin if it covered all from address 0 */
        uint32_t leaf_shift, granule_shift;
        uint32_t live, busy, freed, damaged; /* states */
    } registry;

    struct fo_rows processes; /* in the tree; row 0 is none */
    struct {
        struct fo_field pid, parent;
        struct fo_rows name; /* characters */
    } in_process;

    struct { /* in the findings: a row for each that is not like another */
        struct fo_rows rows;
        struct fo_field key, count; /* key 0: not used */
    } in_findings;
    struct {                 /* call stacks of allocations: FREEONCE_SAMPLE and FREEONCE_STACKS */
        uint64_t samples;    /* address of a pointer to the table; 0: none are sampled */
        uint64_t depot;      /* the same: stacks; 0: none are kept */
        struct fo_rows rows; /* of the table */
        struct fo_field payload;     /* in a row; 0: not used */
        struct fo_field stack;       /* and the number of the block's stack */
        struct fo_field full;        /* in the table: samples that found no place */
        struct fo_rows words;        /* in the depot: words; a number is that of a stack's first */
        struct fo_field count;       /* in the depot: how many words there are */
        struct fo_field one_in, all; /* in the options: N of SAMPLE; frames of STACKS; 0: off */
        struct fo_field tail;        /* in the hot struct: watched bytes behind each payload */
        uint32_t backend_shift, backend_bits; /* in a header's word */
        uint32_t sampled;                     /* this number there: the block is sampled */
        uint32_t frames;                      /* of a stack, at most */
    } in_stacks;
    struct fo_field how_guard; /* enum fo_journal_guard */
    struct fo_rows how_text;   /* characters, with a NUL */
};

#endif
