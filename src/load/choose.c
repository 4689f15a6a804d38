/* Which backend serves this process?  It is chosen at OpenSSL's first allocation: until then the
 * program can register functions, and by then its pool is usable. */
#include "load/choose.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "backend/backend.h"
#include "backend/guard.h"
#include "base/hot.h"
#include "base/mapping.h"
#include "base/sanitizer.h"
#include "base/say.h"
#include "block/crash.h"
#include "block/quarantine.h"
#include "block/registry.h"
#include "block/sample.h"
#include "heap/region.h"
#include "heap/system.h"
#include "load/engine.h"
#include "options/options.h"
#include "process/process.h"
#include "shared/cures.h"
#include "shared/shared.h"

static enum fo_backend_id choose_arena(void)
{
    if (fo_region != NULL || fo_region_start(false))
        return FO_BACKEND_ARENA;
    fo_say_words("no addresses for backend arena (address space limit, or strict overcommit?); "
                 "running on libc",
                 NULL);
    return FO_BACKEND_LIBC;
}

static enum fo_backend_id choose_automatic(void);

/* The same heap in shared memory, with the registry of its blocks. */
static enum fo_backend_id choose_shm(void)
{
    if ((fo_region != NULL && fo_layout.shared) || (fo_shared_prepare() && fo_region_start(true)))
        return FO_BACKEND_ARENA;
    fo_say_words("no addresses for backend shm (address space limit, or strict overcommit? see "
                 "FREEONCE_SHM_SIZE); running on auto",
                 NULL);
    fo_engine_refuse();
    return choose_automatic();
}

/* ThreadSanitizer sees by libc's malloc and free that memory passes from one thread to another.
 * If the memory passed through the arena, it would report the use by both threads as a race. */
static enum fo_backend_id choose_automatic(void)
{
    if (fo_host.malloc != NULL)
        return FO_BACKEND_HOST;
    return fo_has_tsan() ? FO_BACKEND_LIBC : choose_arena();
}

static enum fo_backend_id load_plugin(const char *path)
{
    const char *why = "";

    fo_backends[FO_BACKEND_PLUGIN] = fo_plugin_load(path, &why);
    if (fo_backends[FO_BACKEND_PLUGIN] != NULL)
        return FO_BACKEND_PLUGIN;
    fo_say_words("backend ", path, " cannot be used, running on auto: ", why, NULL);
    fo_engine_refuse();
    return choose_automatic();
}

static bool is_guard_backend(void)
{
    return strcmp(fo_options.backend, "guard") == 0;
}

static enum fo_backend_id choose(bool host_is_shared)
{
    const char *text = fo_options.backend;

    /* Guarded blocks are private, so the backend of the other blocks must be private, too. */
    if (strcmp(text, "libc") == 0 || (is_guard_backend() && host_is_shared))
        return FO_BACKEND_LIBC;
    if (strcmp(text, "host") == 0 && fo_host.malloc == NULL) {
        fo_say_words("FREEONCE_BACKEND=host, but this program registers no memory functions with "
                     "OpenSSL; running on arena",
                     NULL);
        fo_engine_refuse();
    }
    if (strcmp(text, "arena") == 0) {
        enum fo_backend_id id = choose_arena();
        if (id != FO_BACKEND_ARENA)
            fo_engine_refuse();
        return id;
    }
    if (strcmp(text, "shm") == 0)
        return choose_shm();
    return strchr(text, '/') != NULL ? load_plugin(text) : choose_automatic();
}

static const char *name_of(enum fo_backend_id id)
{
    if (is_guard_backend())
        return "guard";
    return id == FO_BACKEND_ARENA && fo_layout.shared ? "shm" : fo_backends[id]->name;
}

/* Is the memory of the program's functions shared?  The mapping of their first block shows it.
 * False: they have no memory (yet). */
static bool probe_host(const char *file, int line, bool *shared)
{
    *shared = false;
    if (fo_host.malloc == NULL)
        return true;
    if (fo_options.shared != FO_SHARED_AUTO) {
        *shared = fo_options.shared == FO_SHARED_YES;
        return true;
    }
    void *block = fo_host.malloc(64, file, line);
    if (block == NULL)
        return false;
    struct fo_mapping mapping;
    if (fo_mapping_find((uintptr_t)block, &mapping))
        *shared = mapping.shared;
    else
        fo_say_words("WARNING: /proc is not mounted here, so whether the processes of this program "
                     "share the memory of its own functions cannot be found out; it is taken as "
                     "private. FREEONCE_SHARED=1 if they share it, =0 if they do not",
                     NULL);
    fo_host.free(block, file, line);
    return true;
}

static bool is_shared(enum fo_backend_id id, bool host_is_shared)
{
    if (id == FO_BACKEND_HOST)
        return host_is_shared;
    if (id == FO_BACKEND_ARENA && fo_layout.shared)
        return true;
    if (host_is_shared)
        fo_say_words(
            "WARNING: this program's own functions return memory that its processes share; "
            "backend ",
            name_of(id),
            " is private, so OpenSSL objects that move "
            "between processes will crash it. Unset FREEONCE_BACKEND, or take host",
            NULL);
    return (fo_backends[id]->flags & FREEONCE_BACKEND_SHARED) != 0;
}

/* One block of how many lies on guarded pages?  0: none. */
static uint32_t guarded_one_in(void)
{
    if (fo_options.guard == 0 && !is_guard_backend())
        return 0;
    if (!fo_hot.shared)
        return fo_options.guard != 0 ? fo_options.guard : 1;
    fo_say_words("FREEONCE_GUARD: OpenSSL's memory is shared by processes here and guarded pages "
                 "are private; no block is guarded",
                 NULL);
    fo_engine_refuse();
    return 0;
}

/* Guarded blocks are allocated and freed on the slow paths, where blocks are checked. */
static void set_paths(enum fo_backend_id id)
{
    uint32_t one_in = guarded_one_in();

    bool guard = one_in != 0 && fo_guard_start(one_in, fo_registry_evicted);
    if (one_in != 0 && !guard)
        fo_engine_refuse();
    /* Relaxed: fo_hot.alloc is released after them.  Other threads may read these already; their
     * first allocation waits for the choice. */
    FO_RELAXED_STORE(&fo_hot.spent, id == FO_BACKEND_HOST ? FO_SPENT_BY_HOST : 0);
    FO_RELAXED_STORE(&fo_hot.guard, guard);
    FO_RELAXED_STORE(&fo_hot.checks_frees, FO_RELAXED_LOAD(&fo_hot.checks_frees) || guard);
    bool direct = id == FO_BACKEND_ARENA && !fo_hot.fill && fo_hot.tail == 0 && !guard;
    FO_RELAXED_STORE(&fo_hot.direct, direct);
    FO_RELAXED_STORE(&fo_hot.recycle,
                     (id == FO_BACKEND_LIBC || (id == FO_BACKEND_ARENA && !direct)) &&
                         fo_options.quarantine != 0 && !guard && !fo_hot.shared && !fo_has_tsan());
}

/* FREEONCE_DUMP and FREEONCE_LOCK act on pages: they need pages without other memory. */
static void check_pages(enum fo_backend_id id)
{
    bool hide = !fo_options.dump, lock = fo_options.lock;

    if (!hide && !lock)
        return;
    if (id != FO_BACKEND_ARENA)
        fo_say_words(hide ? "FREEONCE_DUMP=0" : "", hide && lock ? " and " : "",
                     lock ? "FREEONCE_LOCK=1" : "", hide && lock ? " have" : " has",
                     " no effect on the memory of backend ", fo_backends[id]->name,
                     "; arena, shm and guard have pages of their own", NULL);
    if (id != FO_BACKEND_ARENA || !fo_system_is_locked())
        fo_engine_refuse();
}

/* For fo_hot.alloc when blocks of the arena are allocated on the fast path, without a backend. */
static void *alloc_direct(size_t size, const char *file, int line)
{
    (void)size;
    (void)file;
    (void)line;
    return NULL;
}

static bool decide(const char *file, int line)
{
    bool host_is_shared;
    if (!probe_host(file, line, &host_is_shared))
        return false;
    enum fo_backend_id id = choose(host_is_shared);
    if (!fo_shared_decide(is_shared(id, host_is_shared)))
        return false;
    check_pages(id);
    set_paths(id);
    fo_sample_start(id, fo_hot.shared);
    fo_process_serve(id);
    if (!fo_hot.direct)
        fo_quarantine_begin();
    if (fo_options.faults)
        fo_crash_watch();
    fo_engine_report(name_of(id));
    __atomic_store_n(&fo_hot.alloc, fo_hot.direct ? alloc_direct : fo_backends[id]->alloc,
                     __ATOMIC_RELEASE);
    return true;
}

/* One thread chooses; the other threads wait.  After a fork meanwhile, or while the program's pool
 * has no memory yet, the next caller tries again.  A call from inside the choice (a plug-in that
 * uses OpenSSL while it is loaded) gets memory of libc. */
void *fo_choose_first(size_t size, const char *file, int line)
{
    static uint64_t deciding; /* the process of the thread that chooses; 0: none */
    static __thread bool inside;
    uint64_t me = (uint64_t)fo_process_serial() << 32 | 1, owner = 0;

    if (inside)
        return fo_libc_backend.alloc(size, file, line);
    for (;;) {
        fo_alloc_function *alloc = __atomic_load_n(&fo_hot.alloc, __ATOMIC_ACQUIRE);
        if (alloc != fo_choose_first)
            return alloc(size, file, line);
        owner = __atomic_load_n(&deciding, __ATOMIC_ACQUIRE);
        inside = true; /* before: a signal handler that allocates must not wait for this thread */
        if (owner != me && __atomic_compare_exchange_n(&deciding, &owner, me, false,
                                                       __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            break;
        inside = false;
        sched_yield();
    }
    int saved_errno = errno, cancel;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE,
                           &cancel); /* a plug-in's constructor may do anything */
    bool decided = decide(file, line);
    pthread_setcancelstate(cancel, NULL);
    inside = false;
    errno = saved_errno;
    __atomic_store_n(&deciding, 0, __ATOMIC_RELEASE);
    return decided ? fo_hot.alloc(size, file, line) : NULL;
}
