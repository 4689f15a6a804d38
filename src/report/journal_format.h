/* The journal: a file of fixed size in which all processes of a tree keep their findings.  The
 * library writes it (journal.h), the command reads it.  Nothing here depends on either.
 *
 *   header, counters, settings | strings | modules | processes | findings
 *
 * Every table has a fixed place and a fixed number of rows; what does not fit is counted.  Numbers
 * are in the byte order of the machine.  A row is claimed, filled, and only then marked as written:
 * a process may be killed between any two instructions, and a row that it leaves unfinished is
 * never read.  Any process that can write the file can have written anything there: a reader bounds
 * every number that it uses as an index. */
#ifndef FO_REPORT_JOURNAL_FORMAT_H
#define FO_REPORT_JOURNAL_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As PNG's: a byte that is no text, and line ends that a transfer as text would change. */
#define FO_JOURNAL_MAGIC                                                                           \
    "\x89"                                                                                         \
    "FOJ\r\n\x1a\n"

enum {
    FO_JOURNAL_VERSION = 1,
    FO_JOURNAL_STRINGS = 2048,
    FO_JOURNAL_MODULES = 512,
    FO_JOURNAL_PROCESSES = 8192, /* used again when full, except those that a finding names */
    FO_JOURNAL_FINDINGS = 1024,
    FO_JOURNAL_FRAMES = 32,
};

enum fo_journal_state {
    FO_JOURNAL_FREE,
    FO_JOURNAL_WRITING,
    FO_JOURNAL_WRITTEN,
    FO_JOURNAL_KEPT, /* written, and named by a finding */
};

/* A reference to a row of a table: its index plus one; 0: none.  Read it with fo_journal_refers()
 * alone. */
struct fo_journal_reference {
    uint32_t raw;
};

/* False: it refers to none of these rows. */
static inline bool fo_journal_refers(struct fo_journal_reference to, uint32_t rows, uint32_t *index)
{
    *index = to.raw - 1;
    return *index < rows;
}

/* Starts every row. */
struct fo_journal_row {
    uint64_t key;   /* hash of what identifies the row; 0: free */
    uint32_t state; /* enum fo_journal_state */
    uint32_t check; /* fo_journal_check() of the body */
};

/* A word of the library, or a file name of OpenSSL's source. */
struct fo_journal_string {
    struct fo_journal_row row;
    char text[112]; /* ends with NUL; longer ones are cut */
};

struct fo_journal_module {
    struct fo_journal_row row;
    uint32_t build_id_length;
    uint8_t build_id[32];
    char path[204]; /* as the dynamic linker knows it; ends with NUL */
};

/* A place in code: an address as the module's ELF file has it, which is what addr2line takes. */
struct fo_journal_code {
    struct fo_journal_reference module;
    uint32_t reserved;
    uint64_t address;
};

enum fo_journal_guard {
    FO_JOURNAL_SEEN,        /* OpenSSL was seen, and not used yet */
    FO_JOURNAL_GUARDED,     /* its blocks are the library's */
    FO_JOURNAL_UNPROTECTED, /* they are not, `how` has the reason */
    FO_JOURNAL_LEFT,        /* was guarded, and executed another program since */
};

/* With FREEONCE_LEAKS: how a process ended, in place of a signal.  Others, or no number at all: it
 * was not looked at, because it ended by _exit(2) or by a signal. */
enum fo_journal_look {
    FO_JOURNAL_LOOKED = 0x100,
    FO_JOURNAL_NOT_SHARED,    /* not looked at: processes share OpenSSL's memory */
    FO_JOURNAL_NOT_SANDBOXED, /* not looked at: system calls are filtered */
    FO_JOURNAL_NOT_SEARCHED,  /* not looked at: its memory could not be searched */
    FO_JOURNAL_LOOKS,
};

struct fo_journal_process {
    struct fo_journal_row row;
    uint64_t started; /* when it was noticed; nanoseconds since 1970 */
    uint32_t pid, parent_pid;
    struct fo_journal_reference parent;
    uint32_t guard;                /* enum fo_journal_guard */
    struct fo_journal_code forked; /* where its parent called fork() */
    char name[16];
    uint32_t is_fork; /* forked from parent_pid, which was guarded */
    uint32_t ended;   /* by this signal, or enum fo_journal_look; 0: not known */
    char how[176];    /* how the library was loaded; empty: as in the parent */
};

struct fo_journal_place {
    uint32_t known;
    struct fo_journal_reference file; /* string */
    uint32_t line;
    uint32_t pid;
    struct fo_journal_reference process;
    uint32_t thread; /* 0: main, or not known */
    struct fo_journal_code caller;
    uint64_t frames; /* of the stack, innermost first */
    struct fo_journal_code stack[FO_JOURNAL_FRAMES];
};

/* A leak has no second block, and no offset: there, offset is the number of blocks that are lost,
 * racing their bytes, neighbour_line and neighbour_size those that only they lead to; all of the
 * process that wrote the row.  count is the number of blocks in all processes. */
struct fo_journal_finding {
    struct fo_journal_row row;
    uint64_t count; /* these two change after the row was written */
    uint64_t last;  /* time */
    /* body */
    uint64_t first;                                           /* time */
    struct fo_journal_reference kind;                         /* string: the id of findings.def */
    uint32_t operation;                                       /* enum fo_operation */
    struct fo_journal_reference object, answer, memory, verb; /* strings, of struct fo_record */
    uint64_t pointer, block, size, offset;
    uint64_t neighbour_block, neighbour_size;
    struct fo_journal_reference neighbour_file;
    uint32_t neighbour_line;
    uint64_t racing;
    struct fo_journal_place allocated, freed, now;
};

struct fo_journal_counters {
    uint64_t guarded; /* processes that used OpenSSL with the library in front, or were forked from
                         one; without those that executed another program since */
    uint64_t unprotected; /* processes that used OpenSSL without the library in front */
    uint64_t findings;    /* all, repeated ones too */
    uint64_t processes;   /* rows handed out */
    struct {
        uint64_t strings, modules, processes, findings;
    } dropped;
    uint64_t excluded; /* processes that could not write here, and reported it to `freeonce run` */
    uint64_t older;    /* processes that used OpenSSL 1.1 and no other; not in `unprotected` */
};

/* The options of the first guarded process.  Older libraries leave this empty. */
struct fo_journal_settings {
    struct fo_journal_row row;
    uint64_t others; /* guarded processes with other options */
    char text[2048]; /* " NAME=value" for each option; ends with NUL */
};

struct fo_journal_head {
    char magic[8]; /* written last: a file without it was not finished */
    uint32_t version;
    uint32_t head_size; /* the tables start here */
    uint64_t size;      /* of the file */
    uint64_t created;   /* time */
    char library[16];   /* its version */
};

struct fo_journal {
    struct fo_journal_head head;
    struct fo_journal_counters counters;
    struct fo_journal_settings settings;
    _Alignas(4096) struct fo_journal_string strings[FO_JOURNAL_STRINGS];
    _Alignas(4096) struct fo_journal_module modules[FO_JOURNAL_MODULES];
    _Alignas(4096) struct fo_journal_process processes[FO_JOURNAL_PROCESSES];
    _Alignas(4096) struct fo_journal_finding findings[FO_JOURNAL_FINDINGS];
};

_Static_assert(offsetof(struct fo_journal, strings) == 4096, "part of the format");
_Static_assert(sizeof(struct fo_journal_string) == 128, "part of the format");
_Static_assert(sizeof(struct fo_journal_module) == 256, "part of the format");
_Static_assert(sizeof(struct fo_journal_process) == 256, "part of the format");
_Static_assert(sizeof(struct fo_journal_finding) == 1808, "part of the format");

/* The check of a row: a hash of what follows its head, without the two counters of a finding. */
static inline uint32_t fo_journal_check(const void *body, unsigned long size)
{
    const unsigned char *at = (const unsigned char *)body;
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

    for (unsigned long i = 0; i < size; i++)
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    return (uint32_t)(hash ^ hash >> 32);
}

#endif
