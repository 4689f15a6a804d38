/* What is an executable file, and can the library be preloaded into it?  For freeonce run, systemd
 * and doctor. */
#ifndef FO_CLI_PROGRAM_H
#define FO_CLI_PROGRAM_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

enum fo_program_kind {
    FO_PROGRAM_OTHER,   /* neither ELF nor a script, or not known */
    FO_PROGRAM_SCRIPT,  /* "#!" */
    FO_PROGRAM_DYNAMIC, /* by its file, the library can be loaded into it */
    FO_PROGRAM_STATIC,
    FO_PROGRAM_BITS,    /* of 32 bits; the library has 64 */
    FO_PROGRAM_MACHINE, /* for another processor */
    FO_PROGRAM_LIBC,    /* linked with another libc than glibc */
};

struct fo_program {
    enum fo_program_kind kind;
    struct stat status;
    const char *interpreter; /* of ELF: the dynamic linker; in `head`.  "": none, or not known */
    const char *libc;        /* FO_PROGRAM_LIBC: its name */
    char *head;              /* the file's beginning, with a NUL behind it; malloc(3) */
    size_t size;             /* without the NUL */
};

/* False: the file cannot be read (errno), or is no regular file (errno 0).  Free it in any case. */
bool fo_program_read(struct fo_program *program, const char *path);
void fo_program_free(struct fo_program *program);

/* The path of a program, as execvp(3) finds it.  False: nowhere. */
bool fo_program_look_up(const char *name, char path[PATH_MAX]);

/* Why can the library not be loaded into this program?  *reason is a word, `text` follows the
 * program's name in a sentence.  False: as far as the file says, it can. */
bool fo_program_obstacle(const struct fo_program *program, const char **reason, char *text,
                         size_t size);

/* Why would the dynamic linker ignore LD_PRELOAD (AT_SECURE) when this user executes the file?
 * no_new_privs takes the effect of setuid and setgid away.  NULL: it would not. */
const char *fo_program_secure(const char *path, const struct stat *status, uid_t user, gid_t group,
                              bool no_new_privs);

#endif
