/* The heap as another project would use it: on base, options, process and report, without hooks,
 * verdicts, other backends and OpenSSL.  The tests call what the hooks' slow path calls. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/single_threaded.h>

#include "block/hooks.h"
#include "block/walk.h"
#include "fixture.h"
#include "heap/direct.h"
#include "options/options.h"
#include "process/ending.h"
#include "process/life.h"
#include "process/process.h"
#include "report/output.h"
#include "report/record.h"

static void entered(struct fo_process *me, bool forked)
{
    if (fo_hot.direct)
        fo_region_enter(fo_direct_of(me), me->index, forked);
}

static void begun(struct fo_process *me, bool forked)
{
    (void)me;
    (void)forked;
    if (fo_hot.direct)
        fo_region_forked();
}

static void moved(struct fo_process *me)
{
    (void)me;
}

bool fixture_begin(void)
{
    static const struct fo_process_events events = {entered, begun, moved};
    static const char never;
    bool shared = strcmp(fo_options.backend, "shm") == 0;
    struct fo_tree *tree = mmap(NULL, sizeof *tree, PROT_READ | PROT_WRITE,
                                MAP_ANONYMOUS | (shared ? MAP_SHARED : MAP_PRIVATE), -1, 0);

    if (tree == MAP_FAILED)
        return false;
    tree->common = shared;
    fo_shared_set(&tree->processes_used, 1);
    fo_output_open();
    fo_hot.tree = tree;
    fo_hot.alone = shared ? &never : &__libc_single_threaded;
    fo_hot.shared = shared;
    if (!fo_process_start(&events))
        return false;
    fo_process_self();
    fo_thread_id();
    if (!fo_region_start(shared))
        return false;
    fo_hot.direct = true;
    fo_process_serve(FO_BACKEND_ARENA);
    if (shared) {
        fo_ending_start();
        fo_life_watch(tree, fo_process_self()->index);
    }
    return true;
}

void *fo_malloc(size_t size, const char *file, int line)
{
    void *p = size != 0 ? fo_region_malloc(size, fo_site_pack(file, line)) : NULL;

    if (p == NULL && size != 0)
        errno = ENOMEM;
    return p;
}

void fo_free(void *p, const char *file, int line)
{
    struct fo_at at = {.state = FO_FOUND_NOTHING};

    if (p != NULL && fo_region_contains((uintptr_t)p))
        at = fo_region_hold((uintptr_t)p);
    if (at.state == FO_FOUND_LIVE && at.payload == (uintptr_t)p)
        fo_region_free_held(&at, fo_site_pack(file, line));
}

void *fo_realloc(void *p, size_t size, const char *file, int line)
{
    if (p == NULL || size == 0) {
        fo_free(p, file, line);
        return fo_malloc(size, file, line);
    }
    fo_site now = fo_site_pack(file, line);
    struct fo_at at = fo_region_hold((uintptr_t)p);
    assert_int_equal(at.state, FO_FOUND_LIVE);
    if (fo_region_resize(&at, size, now))
        return p;
    size_t before = fo_word_size(at.word);
    void *fresh = fo_malloc(size, file, line);
    if (fresh == NULL) {
        fo_region_release(&at);
        return NULL;
    }
    memcpy(fresh, p, before < size ? before : size);
    fo_region_free_held(&at, now);
    return fresh;
}

bool fo_blocks_walk(struct fo_walk *out, fo_walk_live *each, void *context)
{
    return fo_region_walk(out, NULL, each, context);
}
