/* The backends inside the library: the public interface of freeonce/backend.h, numbered, so that
 * the number in a block's header names the backend that made it (law 6). */
#ifndef FO_BACKEND_BACKEND_H
#define FO_BACKEND_BACKEND_H

#include <freeonce/backend.h>

#include "base/base.h"
#include "base/block.h"
#include "base/hot.h"

extern const struct freeonce_backend *fo_backends[FO_BACKEND_COUNT];
extern const struct freeonce_backend fo_libc_backend, fo_host_backend, fo_guard_backend,
    fo_arena_backend;

/* The size of a request to a backend: the header, and the payload with its canary in steps of 16,
 * so that a block can be used again for any size of its class. */
static inline size_t fo_room(size_t size)
{
    return sizeof(struct fo_header) + ((size + fo_hot.tail + 15) & ~(size_t)15);
}

/* Give a block to the backend that made it. */
void fo_backend_free(uintptr_t payload, uint64_t word, fo_site freed);

/* In a forked process, with FREEONCE_LOCK=1: lock what its parent had locked. */
void fo_backend_lock(void);

/* The functions that the program registered with OpenSSL; all set, or none. */
struct fo_host {
    void *(*malloc)(size_t, const char *, int);
    void *(*realloc)(void *, size_t, const char *, int);
    void (*free)(void *, const char *, int);
};
extern struct fo_host fo_host;

/* Load a plug-in.  NULL: *why is the reason, in static storage or dlerror(3)'s. */
const struct freeonce_backend *fo_plugin_load(const char *path, const char **why);

/* Does the text of FREEONCE_BACKEND name a backend?  If not, print that, with the nearest name. */
bool fo_backend_is_known(const char *text);

#endif
