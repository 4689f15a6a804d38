/* See life.h. */
#include "process/life.h"

#include <errno.h>
#include <signal.h>

#include "base/hot.h"
#include "base/moved.h"
#include "process/ending.h"
#include "process/process.h"

enum { SEEN_SHIFT = 32 };

/* A pid namespace, named by the serial number of its first process that was noticed; ordinary
 * memory, which a child inherits. */
static uint32_t namespace_of, namespace_of_first;

/* The mutex that the main thread of this process holds; a child inherits its parent's. */
static struct fo_life *watched;
static uint32_t watched_serial;

/* If the parent is in another pid namespace, getppid(2) answers 0. */
void fo_life_find_namespace(const struct fo_tree *tree, uint32_t serial, bool forked)
{
    if (namespace_of == 0)
        namespace_of = namespace_of_first = serial;
    else if (forked && tree->common && syscall(SYS_getppid) == 0)
        namespace_of = serial;
}

bool fo_life_is_apart(void)
{
    return namespace_of != namespace_of_first;
}

static uint64_t seen_as(uint32_t pid)
{
    return (uint64_t)namespace_of << SEEN_SHIFT | pid;
}

static void record_seen(struct fo_life *l, uint32_t pid)
{
    uint64_t unknown = 0;

    fo_shared_replace(&l->seen, &unknown, seen_as(pid));
}

void fo_life_enter(struct fo_tree *tree, uint32_t row, uint32_t id, uint32_t pid)
{
    if (!tree->common || row == 0)
        return;
    record_seen(&tree->lives[row], pid);
    fo_shared_set(&tree->lives[row].id, id);
}

bool fo_thread_is_watched(void)
{
    void *head = NULL;
    size_t size;

    fo_libc_watch_thread();
    return syscall(SYS_get_robust_list, 0, &head, &size) == 0 && head != NULL;
}

static bool lock(pthread_mutex_t *mutex)
{
    pthread_mutexattr_t how;

    FO_MOVED(pthread_mutexattr_init)(&how);
    bool locked = FO_MOVED(pthread_mutexattr_setpshared)(&how, PTHREAD_PROCESS_SHARED) == 0 &&
                  FO_MOVED(pthread_mutexattr_setrobust)(&how, PTHREAD_MUTEX_ROBUST) == 0 &&
                  pthread_mutex_init(mutex, &how) == 0 &&
                  FO_MOVED(pthread_mutex_trylock)(mutex) == 0;
    FO_MOVED(pthread_mutexattr_destroy)(&how);
    return locked;
}

void fo_life_watch(struct fo_tree *tree, uint32_t row)
{
    struct fo_life *l = &tree->lives[row];
    int saved_errno = errno;

    if (tree->common && row != 0 && (uint32_t)syscall(SYS_gettid) == fo_getpid() &&
        fo_thread_is_watched() && lock(&l->mutex)) {
        watched = l;
        watched_serial = fo_process_serial();
        fo_shared_set(&l->watched, 1);
        fo_ending_watch(FO_ENDING_LIFE, fo_life_unwatch);
    }
    errno = saved_errno;
}

void fo_life_unwatch(void)
{
    struct fo_life *l = watched;

    if (l == NULL || watched_serial != fo_process_serial() ||
        (uint32_t)syscall(SYS_gettid) != fo_getpid())
        return;
    watched = NULL;
    fo_shared_set(&l->watched, 0);
    FO_MOVED(pthread_mutex_unlock)(&l->mutex);
}

void fo_life_seen(struct fo_tree *tree, uint32_t row, pid_t child)
{
    if (tree->common)
        record_seen(&tree->lives[row], child > 0 ? (uint32_t)child : FO_PID_NONE);
}

void fo_life_clear(struct fo_tree *tree, uint32_t row)
{
    struct fo_life *l = &tree->lives[row];

    if (!tree->common)
        return;
    fo_shared_set(&l->id, 0);
    fo_shared_set(&l->watched, 0);
    fo_shared_set(&l->seen, 0);
}

static bool is_pid_running(uint64_t seen)
{
    uint32_t pid = (uint32_t)seen;

    if (pid == 0 || pid == FO_PID_NONE)
        return false;
    if (seen != seen_as(pid)) /* seen in another namespace: kill(2) cannot ask */
        return true;
    int saved_errno = errno;
    bool lives = kill((pid_t)pid, 0) == 0 || errno != ESRCH;
    errno = saved_errno;
    return lives;
}

bool fo_life_is_running(const struct fo_tree *tree, uint32_t row)
{
    const struct fo_life *l = &tree->lives[row];

    if (fo_shared_number(&l->watched) != 0)
        return !fo_mutex_is_orphan(&l->mutex);
    return is_pid_running(fo_shared_number(&l->seen));
}

bool fo_life_is_over(uint32_t id)
{
    const struct fo_tree *tree = fo_hot.tree;
    uint32_t row = id & (FO_PROCESSES - 1);

    return row != 0 &&
           (fo_shared_number(&tree->lives[row].id) != id || !fo_life_is_running(tree, row));
}
