/* freeonce/backend.h: where OpenSSL's memory comes from, as a plug-in.
 *
 * A plug-in is a shared library that defines freeonce_backend().  It is chosen with
 *
 *     FREEONCE_BACKEND=/path/to/plugin.so
 *
 * and loaded with dlopen(3), RTLD_NOW | RTLD_LOCAL, when OpenSSL allocates for the first time in
 * the process.  It is never unloaded.
 *
 * freeonce puts a 16-byte header in front of every OpenSSL block, decides about every free, keeps
 * freed blocks in its quarantine, and hands a block back to the plug-in exactly once.  The plug-in
 * sees neither a double free nor a pointer that it did not return.
 *
 * Threads: every function may be called by several threads at once, and must not call OpenSSL.
 * Forks: a forked child of a threaded process may call them; a plug-in with locks of its own must
 * see to that, as malloc(3) does.
 * Signals: nothing is called from a signal handler unless OpenSSL is.
 *
 * The size and version fields at the start follow the practice of the kernel's extensible structs:
 * a later freeonce reads an older plug-in by them. */
#ifndef FREEONCE_BACKEND_H
#define FREEONCE_BACKEND_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Version of this interface.  A freeonce that does not know the version of a plug-in says so and
 * runs on `auto` (or stops the program, under FREEONCE_REQUIRE=1). */
#define FREEONCE_BACKEND_ABI 1u

/* flags: the memory is shared by all processes forked after the first allocation, at the same
 * addresses.  freeonce then shares its registry and quarantine too, and applies the cures for
 * OpenSSL in shared memory. */
#define FREEONCE_BACKEND_SHARED 1u

struct freeonce_backend {
    uint32_t abi;         /* FREEONCE_BACKEND_ABI */
    uint32_t struct_size; /* sizeof(struct freeonce_backend), in bytes */
    const char *name;     /* for messages; a short word */
    uint32_t flags;       /* FREEONCE_BACKEND_... or 0 */
    uint32_t reserved;    /* 0 */

    /* Returns a block of at least `size` bytes (never 0; the caller's size, rounded up to 16,
     * plus 16), aligned to 16
     * bytes, or NULL when there is no memory; errno is not read.  The block belongs to freeonce
     * until free().  `file` and `line` are the OpenSSL source line that allocates, for the
     * plug-in's own records: file may be NULL, and it may dangle once its module is unloaded.
     * Not page-aligned blocks only: freeonce never reads in front of a block. */
    void *(*alloc)(size_t size, const char *file, int line);

    /* Takes back `block`, of `size` bytes as asked for.  `file` and `line` are the OpenSSL source
     * line that freed it, which was some time ago if the quarantine holds blocks.  Called by
     * another thread than alloc's as often as not, and in another process if the memory is shared.
     * Must not fail. */
    void (*free)(void *block, size_t size, const char *file, int line);

    /* Optional, may be NULL: called once after loading, before any other function; returns 0, or
     * another value when the plug-in cannot work here, which is told as a plug-in that does not
     * load. */
    int (*start)(void);
};

/* What the plug-in exports.  `abi` is the version that freeonce speaks; returns a struct that
 * stays valid for the life of the process, or NULL for "not with this version". */
const struct freeonce_backend *freeonce_backend(uint32_t abi);

#ifdef __cplusplus
}
#endif

#endif
