/* Which process is this, and which are its ancestors?  Forks are noticed without pthread_atfork,
 * which a raw clone(2) does not run: the struct below lies on a page that the kernel zeroes in
 * every forked child (MADV_WIPEONFORK, Linux 4.14). */
#ifndef FO_PROCESS_PROCESS_H
#define FO_PROCESS_PROCESS_H

#include "base/base.h"
#include "base/hot.h"
#include "process/tree.h"

enum { FO_PROCESS_HEAP = 1280 }; /* bytes */

/* A process is named by the library's own numbers, never by its pid: pid namespaces repeat pids. */
struct fo_process {
    uint64_t meta;  /* of every header: this process, the active backend, state LIVE */
    uint32_t id;    /* index | serial << FO_PROCESS_BITS: its name in shared memory; 0: wiped */
    uint32_t index; /* in the table of processes */
    /* Differs from that of each ancestor, and of all processes that share memory with this one.
     * Set before id; in private memory it names the process. */
    uint32_t serial;
    uint32_t pid;   /* for messages, and for system calls */
    bool common_id; /* shared/fork_id.h */
    /* For the heap, so that the kernel zeroes it, too: fo_direct_of(). */
    _Alignas(8) unsigned char heap[FO_PROCESS_HEAP];
};

/* What the rooms above do when a process starts. */
struct fo_process_events {
    /* The process has its index and serial, in its first table or in a new one, or another backend.
     * It must not be looked up by its id yet.  `forked`: its parent is in the table. */
    void (*entered)(struct fo_process *me, bool forked);
    /* The process has its id.  `forked`: it is a child, and not the first process. */
    void (*begun)(struct fo_process *me, bool forked);
    /* The process is in another table. */
    void (*moved)(struct fo_process *me);
};

/* Name of the program, from argv[0], cleaned; call before fo_process_start(). */
extern char fo_program[16];
void fo_process_name(const char *argv0);

/* Map the page, and call `events` from now on.  False: no memory. */
bool fo_process_start(const struct fo_process_events *events);

/* Fill the zeroed page in: the slow path of fo_process_self(). */
FO_COLD void fo_process_noticed(void);

/* fo_hot.tree is a new one: enter this process into its table. */
void fo_process_moved(void);

/* The backend that headers name from now on. */
void fo_process_serve(unsigned backend);

static inline struct fo_process *fo_process_self(void)
{
    struct fo_process *me = fo_hot.process;
    if (fo_unlikely(__atomic_load_n(&me->id, __ATOMIC_ACQUIRE) == 0))
        fo_process_noticed();
    return me;
}

/* Relaxed, here and in `meta`: fo_process_self() has acquired the id, which is written last. */
static inline uint32_t fo_process_serial(void)
{
    return FO_RELAXED_LOAD(&fo_process_self()->serial);
}

/* The name of this process in shared memory; without the index while another thread is still
 * noticing the fork. */
static inline uint32_t fo_process_id(void)
{
    const struct fo_process *me = fo_process_self();
    uint32_t id = __atomic_load_n(&me->id, __ATOMIC_ACQUIRE);

    return id != 0 ? id : FO_RELAXED_LOAD(&me->serial) << FO_PROCESS_BITS;
}

/* Is this the calling process's name? */
static inline bool fo_process_is_self(uint32_t id)
{
    return ((id ^ fo_process_id()) >> FO_PROCESS_BITS) == 0;
}

static inline uint64_t fo_process_meta(const struct fo_process *me)
{
    return FO_RELAXED_LOAD(&me->meta);
}

/* Process and thread that make a record.
 *
 *   [ clock : 22 ][ process : 10 ][ known : 1 ][ thread : 31 ]
 *
 * process is an index into the table, thread is 0 for the main thread or else the kernel's id.  A
 * thread keeps its own with the clock 0; a record adds the clock of its shard. */
enum {
    FO_THREAD_ID_KNOWN = 31,
    FO_THREAD_ID_PROCESS = 32,
    FO_THREAD_ID_CLOCK = FO_THREAD_ID_PROCESS + FO_PROCESS_BITS
};

extern FO_HIDDEN struct fo_cache fo_no_cache; /* of a thread that has none; heap/region.h */

extern __thread struct fo_thread {
    uint64_t id;
    struct fo_shard *shard; /* block/quarantine.h; NULL: none yet */
    struct fo_shard *home;  /* the same, where the fast path may use it */
    uintptr_t caller;       /* of the outermost X_free() that is running; load/objects.c */
    uint64_t stacks;        /* of the block that is being freed; as in struct fo_freed */
    struct fo_cache *cache; /* heap/region.h */
    uint64_t mark;          /* this process and thread, in bits that caller leaves free; the same */
    uint64_t stamp;         /* mark and caller */
    uint64_t me;            /* as the owner of a cache; process/living.h */
    struct fo_cache *lent;  /* the cache that it borrowed last; NULL: none */
    uint32_t borrowed;      /* how often it has borrowed; heap/owner.c */
    bool cleans_up;         /* it runs OPENSSL_cleanup(), or left it by a jump; heap/cache.c */
} fo_thread;

/* Record the code that calls OpenSSL now; 0: not known. */
static inline void fo_thread_enter(uintptr_t caller)
{
    fo_thread.caller = caller;
    fo_thread.stamp = fo_thread.mark | (caller & FO_ADDRESS_MASK);
}

/* The recorded call ends without its return: by a jump or an unwinding. */
static inline void fo_thread_abandon(void)
{
    if (fo_unlikely(fo_thread.caller != 0))
        fo_thread_enter(0);
}

FO_COLD uint64_t fo_thread_id_query(void);
static inline uint64_t fo_thread_id(void) /* after fo_process_self() */
{
    uint64_t id = fo_thread.id;
    return fo_likely(id != 0) ? id : fo_thread_id_query();
}
static inline uint32_t fo_thread_id_process(uint64_t id)
{
    return (uint32_t)(id >> FO_THREAD_ID_PROCESS) & (FO_PROCESSES - 1);
}
static inline uint32_t fo_thread_id_number(uint64_t id)
{
    return (uint32_t)id & ((1u << FO_THREAD_ID_KNOWN) - 1);
}
/* Is the first record the newer one?  The clock wraps after 4 million frees of a shard, long after
 * the older record was overwritten. */
static inline bool fo_thread_id_is_newer(uint64_t a, uint64_t b)
{
    return (int64_t)((a >> FO_THREAD_ID_CLOCK << FO_THREAD_ID_CLOCK) -
                     (b >> FO_THREAD_ID_CLOCK << FO_THREAD_ID_CLOCK)) > 0;
}

/* Where this thread calls fork(), for the child's row. */
extern __thread uintptr_t fo_fork_place;

#endif
