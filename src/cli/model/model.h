/* The contents of the journals, checked and with every reference resolved, for the outputs.  All
 * strings are UTF-8 or ASCII without control characters, and are valid as long as the model. */
#ifndef FO_CLI_MODEL_MODEL_H
#define FO_CLI_MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A place in code.  symbols.c fills in the last three. */
struct fo_code {
    const char *module;   /* path; NULL: not known */
    const char *build_id; /* hexadecimal; NULL: none */
    uint64_t address; /* as in the ELF file: a return address, so the call is before it; 0: none */
    const char *function; /* NULL: not known */
    const char *file;
    unsigned line;
};

struct fo_process_shown {
    unsigned pid, parent_pid;
    const struct fo_process_shown *parent; /* NULL: not one of the journal's */
    const char *name;
    bool is_fork;     /* of a process that was guarded */
    const char *how;  /* how its OpenSSL was found, or why unprotected; empty: as its parent */
    uint64_t started; /* nanoseconds since 1970 */
    int guard;        /* enum fo_journal_guard */
    int signal;       /* that ended it; 0: none that is known */
    int look;         /* for leaks, at its end: enum fo_journal_look; 0: it did not come to that */
    struct fo_code forked;
};

struct fo_place_shown {
    bool known;
    const char *file; /* of the OpenSSL call, as "crypto/mem.c"; NULL: not known */
    unsigned line;
    unsigned pid, thread;                   /* 0: not known; thread 0: main */
    const struct fo_process_shown *process; /* NULL: not known */
    struct fo_code caller; /* of the outermost OpenSSL function; address 0: not known */
    struct fo_code *stack; /* innermost first */
    size_t frames;
};

struct fo_finding_shown {
    const char *kind;     /* the id of findings.def: "double-free" */
    const char *headline; /* "double free of SSL_CTX 0x7f.. (1072 bytes)" */
    const char *label;    /* what the last place is: "freed again" */
    const char *object;   /* "block", or the OpenSSL type: "SSL_CTX" */
    const char *advice;   /* what to do about it; NULL: a kind that this build does not know */
    const char *answer;   /* what was done: "skipped" */
    int operation;        /* enum fo_operation of record.h */
    uint64_t pointer, block, size, offset;
    uint64_t count, first, last; /* how often, and when: nanoseconds since 1970 */
    bool racing;                 /* the first free was in progress at that moment */
    struct {                     /* of a leak, in the process that saw it first */
        uint64_t blocks, bytes, held, held_bytes; /* blocks 0: it is no leak */
    } lost;
    uint64_t neighbour_block, neighbour_size;
    const char *neighbour_file;
    unsigned neighbour_line;
    struct fo_place_shown allocated, freed, now; /* freed: the first free */
    const char *fingerprint;                     /* the same for the same finding in another run */
    const struct fo_suppression *suppressed;     /* NULL: it counts */
};

struct fo_model {
    struct fo_process_shown *processes;
    size_t process_count;
    struct fo_finding_shown *findings;
    size_t finding_count;
    uint64_t guarded, unprotected; /* processes */
    uint64_t left;                 /* processes that were guarded, and executed another program */
    uint64_t occurrences;          /* of findings, repeated ones too */
    uint64_t dropped;  /* findings that are in no row: no room, or the writer was killed */
    uint64_t excluded; /* processes that could not write the journal, at least */
    uint64_t older;    /* processes that used only OpenSSL 1.1, which is not guarded */
    uint64_t nameless; /* times that a name, module or process of a finding had no room */
    uint64_t unfinished, damaged; /* rows */
    const char *settings;         /* " NAME=value" for each option; NULL: not known */
    uint64_t other_settings;      /* guarded processes that had other ones */
    struct {
        const char *reason, *text; /* a word, and in words; NULL: some were, or it is not known */
    } unguarded;                   /* why no process was guarded */
    bool show_processes;           /* in the text */
    const struct fo_snapshots *heaps; /* of --heap, for the page; NULL: none */
    bool without_journal;             /* there is nothing else */
    void *memory;                     /* model_memory.c's */
};

/* Zeroed memory, valid as long as the model.  Never NULL: without memory the command ends. */
void *fo_model_allocate(struct fo_model *model, size_t size);

/* A copy of text (NULL for NULL) in which '?' stands for each byte that is not UTF-8 or is a
 * control character. */
char *fo_model_string(struct fo_model *model, const char *text);

/* All memory of the model; it is empty afterwards. */
void fo_model_free(struct fo_model *model);

/* Note that this signal ended the last process with this pid. */
void fo_model_killed(struct fo_model *model, unsigned pid, int signal);

/* Was this process guarded and ended by a signal, and has it no finding that may be the reason? */
bool fo_process_is_unexplained(const struct fo_model *model,
                               const struct fo_process_shown *process);
size_t fo_model_unexplained(const struct fo_model *model);

/* With FREEONCE_LEAKS: was this process guarded, and not looked at for leaks?  Why not, in words.
 */
bool fo_process_is_unlooked(const struct fo_model *model, const struct fo_process_shown *process);
size_t fo_model_unlooked(const struct fo_model *model);
const char *fo_process_why_unlooked(const struct fo_process_shown *process);

/* How many findings are not suppressed? */
size_t fo_model_counting(const struct fo_model *model);

/* Is there one of these, or a finding that is in no row, so that no suppression can match it? */
bool fo_model_has_findings(const struct fo_model *model);

/* The source line to look at first, to which annotations are attached: of the program's code that
 * made the last call, or of OpenSSL's code if no other is known. */
struct fo_location {
    const char *file; /* NULL: not known */
    unsigned line;
    const char *function; /* NULL: not known */
    bool openssl;         /* it is a line of OpenSSL */
};
struct fo_location fo_place_location(const struct fo_place_shown *place);

#endif
