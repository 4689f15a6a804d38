/* What the paths of malloc and free read: one cache line or two, in one place.  Set up by
 * load/engine.c before OpenSSL may call us. */
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

struct fo_hot {
    const char *alone;          /* *alone != 0: no other thread or process touches our structures */
    uint64_t secret;            /* keys the check bits; one per process tree */
    struct fo_root *root;       /* registry.h */
    struct fo_root *entered;    /* the same, once it may have an entry; NULL: not touched yet */
    struct fo_process *process; /* process/process.h: zeroed by the kernel in a forked child */
    fo_alloc_function *alloc;   /* the active backend, or `first` */
    struct fo_memory *memory;   /* what is shared exactly when the blocks are */
    uint32_t tail;              /* bytes behind each payload that are watched; block/watch.h */
    bool fill;                  /* freed payloads are filled with a pattern */
    bool watch;                 /* either of the two, or guard: frees are looked at */
    bool guard;                 /* some or all blocks lie on guarded pages; backend/guard.h */
    uint32_t spent;             /* bytes for a block beside its payload; block/quarantine.h */
    uint32_t pad;               /* 8 once the backend has returned a block aligned to 8 only */
    bool objects;               /* X_free() of freed objects is refused; load/objects.c */
    bool recycle; /* blocks in quarantine may serve again: the backend is libc or arena */
    bool direct;  /* backend arena, its blocks are judged by their header and place; region.h */
    bool shared;  /* other processes use the blocks, registry and quarantine too */
    bool keep;    /* what an ancestor made stays; shared/inherited.h */
    struct fo_tree *tree;     /* of the processes; in `memory` */
    fo_alloc_function *first; /* chooses the backend, at the first allocation */
};

extern FO_HIDDEN struct fo_hot fo_hot;

/* Is the backend chosen?  `alloc` is fo_hot.alloc. */
static inline bool fo_hot_is_chosen(fo_alloc_function *alloc)
{
    return alloc != FO_RELAXED_LOAD(&fo_hot.first);
}

/* May another thread or process touch our structures right now?  `alone` is glibc's
 * __libc_single_threaded, which it clears before a second thread runs; in shared memory a 0. */
static inline bool fo_hot_is_concurrent(void)
{
    return FO_RELAXED_LOAD(FO_RELAXED_LOAD(&fo_hot.alone)) == 0;
}

#endif
