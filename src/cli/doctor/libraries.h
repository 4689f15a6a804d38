/* Which libraries does the dynamic linker load with a program? */
#ifndef FO_CLI_DOCTOR_LIBRARIES_H
#define FO_CLI_DOCTOR_LIBRARIES_H

#include <limits.h>
#include <stdbool.h>

/* A file below another root, opened so that no link leads out of that root. */
struct fo_below {
    int fd;              /* -1: none was needed */
    char path[PATH_MAX]; /* to open it by, as long as `fd` is open */
};

/* False with errno: there is no such file. */
bool fo_below_open(struct fo_below *below, const char *root, const char *path);
void fo_below_close(struct fo_below *below);

/* The file that a word of LD_PRELOAD means. */
bool fo_preloaded_open(const char *root, const char *word, struct fo_below *found);

enum { FO_NAME_SIZE = 128 };

/* What the program and all libraries that it needs are linked with. */
struct fo_linked {
    char crypto[FO_NAME_SIZE];   /* "libcrypto.so.3"; "": none */
    char older[FO_NAME_SIZE];    /* "libcrypto.so.1.1" */
    char other[FO_NAME_SIZE];    /* "libgnutls.so.30": another library for TLS */
    char by[FO_NAME_SIZE];       /* which library needs `crypto`, "": the program itself */
    char crypto_path[PATH_MAX];  /* below the root; "": it is not there */
    char missing[FO_NAME_SIZE];  /* a library that is not there */
    bool exports, exports_older; /* the program exports its own OpenSSL, 3 or 4, or an older one */
    bool holds;                  /* without that, it has OpenSSL's code */
    bool opens, a_library_opens; /* the program, or a library of it, calls dlopen(3) */
    bool sanitized;              /* AddressSanitizer */
    bool damaged;                /* the program's file */
    bool old_libc;               /* its libc is older than glibc 2.28 */
};

/* path: of the program, to open it by; its libraries are looked for below root. */
void fo_linked_read(struct fo_linked *linked, const char *root, const char *path, const char *name);

#endif
