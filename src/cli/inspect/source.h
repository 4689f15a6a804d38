/* The memory of a process, as it is read from outside: never written, and the process runs on
 * meanwhile; or as its core file has it.  What is read may be anything (law 9), and what it names
 * may be anywhere: so there is a bound on what is read in all, and a read that is not possible is
 * an answer, no error. */
#ifndef FO_CLI_INSPECT_SOURCE_H
#define FO_CLI_INSPECT_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct fo_source_mapping {
    uint64_t start, end;
    uint64_t offset; /* in its file */
    uint64_t inode;  /* of it, or of memory that processes share; 0: none, or not known */
    bool readable, writable, shared;
    const char *file; /* "" : none.  Owned by the source. */
};

struct fo_source {
    /* For the kind of source.  Returns how many bytes were read, from the beginning. */
    size_t (*read)(struct fo_source *s, uint64_t address, void *out, size_t size);
    /* Pieces of `size` bytes from each address, one behind another in `out`.  Returns how many were
     * read, from the first on. */
    size_t (*read_pieces)(struct fo_source *s, const uint64_t *addresses, size_t count, void *out,
                          size_t size);
    void (*close)(struct fo_source *s); /* NULL: nothing to close */
    struct fo_core *core;               /* NULL: it is a process */
    pid_t pid;
    char name[16];                      /* of the program; clean */
    struct fo_source_mapping *mappings; /* in the order of addresses */
    size_t mapping_count;
    uint64_t left;  /* so many bytes may be read yet */
    bool exhausted; /* and they were not enough */
    int why;        /* errno of the last read that failed */
};

/* False: not all of it can be read. */
bool fo_source_read(struct fo_source *s, uint64_t address, void *out, size_t size);

/* At most FO_PIECES_MOST pieces; was_read[i] says which of them were read. */
enum { FO_PIECES_MOST = 1024 };
void fo_source_read_pieces(struct fo_source *s, const uint64_t *addresses, size_t count, void *out,
                           size_t size, bool *was_read);

/* A text that ends with a NUL, cut to size - 1 characters and cleaned, if it lies in memory of a
 * file that cannot be written, as the names of source files do.  False: it does not. */
bool fo_source_text(struct fo_source *s, uint64_t address, char *out, size_t size);

/* The mapping around an address; NULL: none. */
const struct fo_source_mapping *fo_source_mapping_at(const struct fo_source *s, uint64_t address);

/* A running or stopped process.  Returns FO_EXIT_OK, or another status of exit.h after a message.
 */
int fo_source_of_process(struct fo_source *s, pid_t pid);

/* The same without a message.  False: s->why is an errno. */
bool fo_source_open_process(struct fo_source *s, pid_t pid);

/* The same for a core file. */
int fo_source_of_core(struct fo_source *s, const char *path);

/* "process 4120 (nginx)", or that it is its core file; in static storage. */
const char *fo_source_words(const struct fo_source *s);

/* Why did a read fail?  As above. */
int fo_source_explain(const struct fo_source *s);

void fo_source_free(struct fo_source *s);

#endif
