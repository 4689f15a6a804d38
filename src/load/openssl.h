/* The OpenSSLs of this process: usually one, sometimes a second of another version or a static one
 * inside the executable.  Each is found once, and gets our functions if it has not allocated yet.
 */
#ifndef FO_LOAD_OPENSSL_H
#define FO_LOAD_OPENSSL_H

#include "base/base.h"

typedef void *fo_malloc_function(size_t, const char *, int);
typedef void *fo_realloc_function(void *, size_t, const char *, int);
typedef void fo_free_function(void *, const char *, int);

struct fo_openssl {
    unsigned major;       /* 3 or 4: whose symbol versions its callers carry */
    uintptr_t start, end; /* its mapping, for "is this call from libcrypto?" */
    const char *how;      /* how we got in, in words */
    bool ours;            /* it calls our functions */
    bool in_executable;   /* static: its mapping holds the program's own code too */
    int (*set_mem)(fo_malloc_function *, fo_realloc_function *, fo_free_function *);
    void (*get_mem)(fo_malloc_function **, fo_realloc_function **, fo_free_function **);
    /* Its own defaults, as the program would see them. */
    fo_malloc_function *default_malloc;
    fo_realloc_function *default_realloc;
    fo_free_function *default_free;
    void (*cleanup)(void);
    void (*thread_stop)(void);
    int (*secure_heap)(void); /* is there one? */
    const char *(*version)(int);
    /* What load/reach.c tries. */
    void (*set_thread)(void *);
    int (*read_lock)(void *), (*unlock)(void *);
};

/* Look through all loaded modules, if any came since the last time; `how` is for the messages. */
void fo_openssl_check_neighbours(const char *how);

/* Code at this address may belong to an OpenSSL that is being loaded. */
void fo_openssl_found_at(uintptr_t code);

/* dlsym() is being asked for `name`: if it sounds like OpenSSL's, look around. */
void fo_openssl_asked_for(const char *name);

/* What dlsym(handle, name), or dlvsym() with a version that is not NULL, should answer instead of
 * the real function; NULL: as it would. */
void *fo_openssl_entry(const char *name, void *handle, const char *version);

/* The OpenSSL of this major version, which a call under its symbol version means, or NULL. */
struct fo_openssl *fo_openssl_chosen(unsigned major);

/* Does every OpenSSL of this major version call our functions? */
bool fo_openssl_has_all_guarded(unsigned major);

/* Whose code is this, or NULL?  An executable with a static one inside does not count.  Lock-free.
 */
const struct fo_openssl *fo_openssl_of(uintptr_t code);

/* Is this the OPENSSL_cleanup of one of them? */
struct fo_openssl *fo_openssl_with_cleanup(const void *function);

/* OPENSSL_thread_stop() of each; false: one that is ours has none. */
bool fo_openssl_thread_stop(void);

/* Its OPENSSL_cleanup() was called: call `function`, which is it or stands in front of it.  Who may
 * not clean up, because others use the same memory, gives back what is this thread's alone: its
 * random generators, its errors. */
void fo_openssl_cleanup(const struct fo_openssl *o, void (*function)(void));

/* Do the cures reach them all?  What they do not reach is told. */
void fo_openssl_check_cures(void);

/* "OpenSSL 3.0.19 (linked)". */
struct fo_text;
void fo_openssl_put(struct fo_text *t, const struct fo_openssl *o);

/* " in front of OpenSSL 3.0.19 (linked)" for each that is ours. */
void fo_openssl_describe(struct fo_text *t);

#endif
