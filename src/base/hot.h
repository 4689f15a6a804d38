/* What the fast paths of malloc and free read: one or two cache lines, in one place.  Set up by
 * load/engine.c before OpenSSL can call the library. */
#ifndef FO_BASE_HOT_H
#define FO_BASE_HOT_H

#include "base/base.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FO_HAS_TSAN 1
#endif
#endif
#ifndef FO_HAS_TSAN
#define FO_HAS_TSAN 0
#endif

struct fo_process;
struct fo_memory;
struct fo_tree;
struct fo_root;

typedef void *fo_alloc_function(size_t size, const char *file, int line);

/* What the choice of a backend sets is read relaxed: it is set before `alloc`, which is acquired,
 * has another value than `first`, and so before any block exists. */
struct fo_hot {
    const char *alone;          /* *alone != 0: no other thread or process uses the structures */
    uint64_t secret;            /* keys the check bits; one per process tree */
    struct fo_root *root;       /* registry.h */
    struct fo_root *entered;    /* the same, once it can have an entry; else NULL */
    struct fo_process *process; /* process/process.h: zeroed by the kernel in a forked child */
    fo_alloc_function *alloc;   /* the active backend, or `first` */
    struct fo_memory *memory;   /* data that is shared exactly when the blocks are */
    uint32_t tail;              /* watched bytes behind each payload; block/watch.h */
    bool fill;                  /* freed payloads are filled with a pattern */
    bool checks_frees;          /* fill, wipe, tail or guard: each free is checked */
    bool guard;                 /* some or all blocks lie on guarded pages; backend/guard.h */
    uint32_t spent;             /* bytes for a block beside its payload; block/quarantine.h */
    uint32_t pad;               /* 8 once the backend has returned a block aligned to 8 only */
    bool objects;               /* X_free() of freed objects is refused; load/objects.c */
    bool recycle; /* blocks in quarantine can be reused: the backend is libc or arena */
    bool direct;  /* backend arena, its blocks are judged by their header and place; region.h */
    bool shared;  /* processes share the blocks, the registry and the quarantine */
    bool keeps_ancestors;     /* a free of an ancestor's object is skipped; shared/inherited.h */
    struct fo_tree *tree;     /* of the processes; in `memory` */
    fo_alloc_function *first; /* chooses the backend, at the first allocation */
};

extern FO_HIDDEN struct fo_hot fo_hot;

/* Is the backend chosen?  `alloc` is fo_hot.alloc; `first` does not change.  Relaxed. */
static inline bool fo_hot_is_chosen(fo_alloc_function *alloc)
{
    return alloc != FO_RELAXED_LOAD(&fo_hot.first);
}

/* Can another thread or process use the library's structures right now?  `alone` points to glibc's
 * __libc_single_threaded, which glibc clears before a second thread runs; in shared memory, to a 0.
 * Relaxed: what made a second thread, or gave it a block, orders them. */
static inline bool fo_hot_is_concurrent(void)
{
    return FO_RELAXED_LOAD(FO_RELAXED_LOAD(&fo_hot.alone)) == 0;
}

#endif
