/* The page that shows a child that it was forked, and the table of processes: see process.h.
 * Relaxed: the id is released after all else on the page. */
#include "process/process.h"

#include <pthread.h>
#include <string.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/apart.h"
#include "process/life.h"
#include "process/rows.h"

/* Until the process has its page: its zeros lead every call to the slow path. */
static struct fo_process no_process;

struct fo_hot fo_hot = {.process = &no_process};

__thread struct fo_thread fo_thread = {.cache = &fo_no_cache};
__thread uintptr_t fo_fork_place;

char fo_program[16];
static unsigned backend = FO_BACKEND_LIBC;
static const struct fo_process_events *events;
static uint32_t known_index; /* ordinary memory: a child finds its parent's here */

void fo_process_name(const char *argv0)
{
    const char *slash = argv0 != NULL ? strrchr(argv0, '/') : NULL;
    const char *name = slash != NULL ? slash + 1 : argv0 != NULL ? argv0 : "?";
    struct fo_text t = {fo_program, sizeof fo_program - 1, 0};

    fo_put_clean(&t, name, sizeof fo_program - 1);
    fo_program[t.used] = '\0';
}

static uint64_t thread_id_of(const struct fo_process *me, uint32_t thread)
{
    return (uint64_t)me->index << FO_THREAD_ID_PROCESS | UINT64_C(1) << FO_THREAD_ID_KNOWN | thread;
}

uint64_t fo_thread_id_query(void)
{
    const struct fo_process *me = fo_hot.process;
    uint32_t id = (uint32_t)syscall(SYS_gettid);

    fo_thread.id = thread_id_of(me, id == me->pid ? 0 : id);
    return fo_thread.id;
}

/* Some kernels do not wipe the page: Linux before 4.14, and emulators, of which qemu-user answers 0
 * to MADV_WIPEONFORK and does nothing.  There a fork(3) is noticed by this handler. */
static void wipe(void)
{
    uint32_t pid = fo_hot.process->pid;

    if (pid != 0 && pid != fo_getpid()) /* 0: wiped; its own: written by this process since */
        memset(fo_hot.process, 0, sizeof *fo_hot.process);
}

bool fo_process_start(const struct fo_process_events *on)
{
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    void *page = fo_apart_map(size, MAP_PRIVATE);

    if (page == NULL)
        return false;
    events = on;
    fo_hot.process = page;
    FO_RELAXED_STORE(&fo_hot.process->id, 0); /* a read before the write costs two faults; no
                                                 other thread has the page yet */
    madvise(page, size, MADV_WIPEONFORK);
    pthread_atfork(NULL, NULL, wipe);
    return true;
}

static uint64_t meta_of(uint32_t index)
{
    return (uint64_t)index << FO_META_SHIFT | (uint64_t)backend << FO_BACKEND_SHIFT |
           (uint64_t)FO_STATE_LIVE << FO_STATE_SHIFT;
}

static void enter(struct fo_process *me, uint32_t pid, uint32_t parent)
{
    struct fo_tree *tree = fo_hot.tree;

    fo_row_descend(parent);
    uint32_t row = fo_row_new(tree);

    if (row != 0) {
        struct fo_lineage *l = &tree->processes[row];
        *l = (struct fo_lineage){
            .pid = {pid}, .parent = {parent}, .place = {fo_fork_place}, .born = l->born};
        memcpy(l->name.raw, fo_program, sizeof fo_program);
    }
    fo_fork_place = 0;
    known_index = row;
    me->index = row;
    FO_RELAXED_STORE(&me->meta, meta_of(row));
    events->entered(me, parent != 0);
    me->pid = pid;
    uint32_t id = me->serial << FO_PROCESS_BITS | row;
    fo_life_enter(tree, row, id, pid);
    __atomic_store_n(&me->id, id, __ATOMIC_RELEASE);
}

/* The lower bits of a serial, which alone are part of an id, are not all 0. */
static uint32_t new_serial(struct fo_tree *tree)
{
    uint32_t serial;

    do
        serial = fo_shared_add(&tree->serials, 1) + 1;
    while (serial << FO_PROCESS_BITS == 0);
    return serial;
}

/* getpid(2) is the only system call here (the time comes from the vDSO): a sandbox may allow little
 * else by now.  Where processes share memory there are three more (process/life.h); fork(3) makes
 * them before it returns in the child. */
void fo_process_noticed(void)
{
    struct fo_process *me = fo_hot.process;
    uint32_t none = 0, serial = new_serial(fo_hot.tree);

    if (!__atomic_compare_exchange_n(&me->serial, &none, serial, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_RELAXED)) {
        /* Another thread does this now, or this thread itself, interrupted by a signal handler: so
         * the wait has an end. */
        for (int i = 0; i < 1000 && __atomic_load_n(&me->id, __ATOMIC_ACQUIRE) == 0; i++)
            sched_yield();
        if (fo_process_meta(me) == 0) /* for now, an unknown process */
            FO_RELAXED_STORE(&me->meta, meta_of(0));
        return;
    }
    bool forked = known_index != 0;
    fo_life_find_namespace(fo_hot.tree, serial, forked);
    enter(me, fo_getpid(), known_index);
    /* The child of a fork has one thread, the main one; but this may be a new one that was faster.
     */
    fo_thread.id = forked && fo_thread.id != 0 ? thread_id_of(me, 0) : 0;
    if (fo_hot.shared)
        fo_life_watch(fo_hot.tree, me->index);
    if (fo_hot.shared)
        fo_thread.shard = fo_thread.home = NULL; /* each worker chooses a shard of its own */
    events->begun(me, forked);
}

void fo_process_moved(void)
{
    struct fo_process *me = fo_process_self();
    struct fo_shared_u32 *serials = &fo_hot.tree->serials;

    if (fo_shared_number(serials) < me->serial) /* else a child might get that of an ancestor */
        fo_shared_set(serials, me->serial);
    known_index = 0;
    enter(me, me->pid, 0);
    fo_thread.id = thread_id_of(me, fo_thread_id_number(fo_thread_id()));
    fo_thread.shard = fo_thread.home = NULL;
    events->moved(me);
}

void fo_process_serve(unsigned chosen)
{
    struct fo_process *me = fo_process_self();

    backend = chosen;
    FO_RELAXED_STORE(&me->meta, meta_of(me->index));
    events->entered(me, false);
}
