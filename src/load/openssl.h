/* The OpenSSLs of this process: usually one, sometimes a second of another version, or a static one
 * inside the executable.  Each is found once, and gets the library's functions if it has not
 * allocated yet. */
#ifndef FO_LOAD_OPENSSL_H
#define FO_LOAD_OPENSSL_H

#include "base/base.h"
#include "base/libc.h"

typedef void *fo_malloc_function(size_t, const char *, int);
typedef void *fo_realloc_function(void *, size_t, const char *, int);
typedef void fo_free_function(void *, const char *, int);

struct fo_openssl {
    unsigned major;       /* 3 or 4: the symbol versions of its callers */
    uintptr_t start, end; /* its mapping, for "is this call from libcrypto?" */
    const char *how;      /* how it was found, in words */
    bool is_guarded;      /* it calls the library's functions */
    bool in_executable;   /* static: its mapping has the program's own code, too */
    int (*set_mem)(fo_malloc_function *, fo_realloc_function *, fo_free_function *);
    void (*get_mem)(fo_malloc_function **, fo_realloc_function **, fo_free_function **);
    /* Its own functions, which are the defaults. */
    fo_malloc_function *default_malloc;
    fo_realloc_function *default_realloc;
    fo_free_function *default_free;
    void (*cleanup)(void);
    void (*thread_stop)(void);
    int (*secure_heap)(void); /* is there a secure heap? */
    const char *(*version)(int);
    /* Called by load/reach.c as a test. */
    void (*set_thread)(void *);
    int (*read_lock)(void *), (*unlock)(void *);
};

/* Look for OpenSSLs in all loaded modules, if modules were loaded since the last call.  `how` is
 * for the messages. */
void fo_openssl_check_neighbours(const char *how);

/* Code at this address may belong to an OpenSSL that is being loaded. */
void fo_openssl_found_at(uintptr_t code);

/* The program calls dlsym() for `name`: if it is like a name of OpenSSL, look for OpenSSLs. */
void fo_openssl_check_name(const char *name);

/* What dlsym(handle, name), or dlvsym() if `version` is not NULL, should return instead of the real
 * function; NULL: the real function. */
void *fo_openssl_entry(const char *name, void *handle, const char *version);

/* The OpenSSL to which a call under the symbol version of this major version belongs, or NULL. */
struct fo_openssl *fo_openssl_chosen(unsigned major);

/* A call of libcrypto's function `name` by the code at `caller` belongs to a library that is none
 * of these (library.h): its function.  NULL: it belongs to one of these. */
void *fo_openssl_find_other(unsigned major, const char *name, uintptr_t caller);
static inline void *fo_openssl_other(unsigned major, const char *name, uintptr_t caller)
{
    return FO_LIBC_HAS_VERSIONS ? NULL : fo_openssl_find_other(major, name, caller);
}

/* The program asks dlsym(3) for `name` of OpenSSL: would only the library's own definition answer?
 * Without the library there is none, as where a version hides it. */
bool fo_openssl_names_only_own(const char *name, void *handle);
static inline bool fo_openssl_is_missing(const char *name, void *handle)
{
    return !FO_LIBC_HAS_VERSIONS && fo_openssl_names_only_own(name, handle);
}

/* Does every OpenSSL of this major version call the library's functions? */
bool fo_openssl_has_all_guarded(unsigned major);

/* The OpenSSL with this code, or NULL.  A static one in the executable does not count.  Takes no
 * lock. */
const struct fo_openssl *fo_openssl_of(uintptr_t code);

/* The OpenSSL whose OPENSSL_cleanup this is, or NULL. */
struct fo_openssl *fo_openssl_with_cleanup(const void *function);

/* Call OPENSSL_thread_stop() of each guarded OpenSSL; false: one of them has none. */
bool fo_openssl_thread_stop(void);

/* Its OPENSSL_cleanup() was called: call `function`, which is it, or a function in front of it.  A
 * process that may not clean up, because other processes use the same memory, frees only what
 * belongs to this thread: its random generators and its errors. */
void fo_openssl_cleanup(const struct fo_openssl *o, void (*function)(void));

/* Do the cures reach each guarded OpenSSL?  A message names each cure that does not. */
void fo_openssl_check_cures(void);

/* "OpenSSL 3.0.19 (linked)". */
struct fo_text;
void fo_openssl_put(struct fo_text *t, const struct fo_openssl *o);

/* "in front of OpenSSL 3.0.19 (linked)", with " and ..." for each further guarded one. */
void fo_openssl_describe(struct fo_text *t);

#endif
