/* See engine.h.  Called by the loader for the first OpenSSL of a process, before it allocates. */
#include "load/engine.h"

#include <errno.h>
#include <pthread.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "backend/backend.h"
#include "base/libc_memory.h"
#include "base/moved.h"
#include "base/raw.h"
#include "base/real.h"
#include "base/say.h"
#include "block/memory.h"
#include "block/watch.h"
#include "heap/direct.h"
#include "heap/system.h"
#include "load/choose.h"
#include "load/openssl.h"
#include "options/options.h"
#include "options/values.h"
#include "process/process.h"
#include "report/journal.h"
#include "report/output.h"
#include "report/record.h"
#include "report/stacks.h"
#include "shared/cures.h"

/* The key of the check bits: from getrandom(2), which a sandbox may forbid, and from the random
 * bytes that the kernel gives every program (AT_RANDOM).  These are mixed, so that a leaked key
 * does not show them: glibc's stack protector uses them.  Forked children inherit the key with the
 * blocks. */
static uint64_t make_secret(void)
{
    const unsigned char *random = (const unsigned char *)getauxval(AT_RANDOM);
    uint64_t mixed = UINT64_C(0x6a09e667f3bcc908), fresh = 0;
    int saved_errno = errno;

    for (int i = 0; random != NULL && i < 16; i++) {
        mixed = (mixed ^ random[i]) * UINT64_C(0x9e3779b97f4a7c15);
        mixed ^= mixed >> 29;
    }
    if (!fo_raw_random(&fresh, sizeof fresh))
        errno = saved_errno;
    return mixed ^ fresh;
}

/* Checked before anything is mapped. */
static bool has_room(void)
{
    char line[200];
    struct fo_text t = FO_TEXT(line);

    if (fo_system_has_room((uint64_t)FO_SYSTEM_NEEDS << 20))
        return true;
    fo_put(&t, "limits leave less than ");
    fo_put_dec(&t, FO_SYSTEM_NEEDS);
    fo_put(&t,
           " MB of addresses (ulimit -v; ulimit -l, if all memory is locked); this process runs "
           "unprotected");
    fo_say(&t);
    fo_journal_record_guard(FO_JOURNAL_UNPROTECTED, "");
    fo_engine_refuse();
    return false;
}

static void process_entered(struct fo_process *me, bool forked)
{
    if (FO_RELAXED_LOAD(&fo_hot.direct))
        fo_region_enter(fo_direct_of(me), me->index, forked);
}

static void process_begun(struct fo_process *me, bool forked)
{
    if (FO_RELAXED_LOAD(&fo_hot.direct))
        fo_region_forked();
    if (forked && fo_options.lock)
        fo_backend_lock();
    fo_journal_write_process(me->index);
    fo_output_forked();
}

static void process_moved(struct fo_process *me)
{
    fo_journal_write_process(me->index);
}

static const struct fo_process_events process_events = {process_entered, process_begun,
                                                        process_moved};

/* A leak without the place of its allocation would not help. */
static void choose_stacks(void)
{
    enum { FRAMES = 16 };

    if (fo_options.stacks > FO_STACK_MAX)
        fo_options.stacks = FO_STACK_MAX;
    if (fo_options.leaks && fo_options_source(FO_INDEX_STACKS).from == FO_FROM_DEFAULT) {
        fo_options.stacks = FRAMES;
        fo_stacks_for_leaks = true;
    }
    /* A block has room for the number of its stack: no sample is drawn. */
    if (fo_options.stacks != 0)
        fo_options.sample = 0;
}

static bool start(void)
{
    fo_output_open();
    fo_journal_make();
    fo_journal_watch();
    if (!has_room())
        return false;
    bool understood = fo_options_complain() == 0;
    understood &= fo_journal_report_error();
    understood &= fo_backend_is_known(fo_options.backend);
    if (!understood)
        fo_engine_refuse();
    choose_stacks();
    fo_libc_memory_find();
    fo_hot.first = fo_hot.alloc = fo_choose_first;
    fo_cure_stop_thread = fo_openssl_thread_stop;
    fo_hot.secret = make_secret();
    fo_hot.memory = fo_memory_map(false);
    fo_hot.tree = fo_hot.memory != NULL ? &fo_hot.memory->tree : NULL;
    if (fo_hot.memory == NULL || !fo_process_start(&process_events) ||
        ((fo_options.stacks != 0 || fo_options.sample != 0) && !fo_stacks_start())) {
        fo_say_words("no memory for the registry of blocks (address space limit?); this process "
                     "runs unprotected",
                     NULL);
        fo_journal_record_guard(FO_JOURNAL_UNPROTECTED, "");
        fo_engine_refuse();
        return false;
    }
    pthread_atfork(fo_report_before_fork, NULL, NULL); /* forkpty(3) and daemon(3) fork, too */
    if (fo_options.faults && fo_options.stacks == 0 && fo_options.sample == 0)
        (void)fo_stacks_start(); /* without memory for stacks, reports have none */
    fo_hot.root = fo_hot.memory->root;
    fo_process_self();
    fo_thread_id(); /* now: a sandbox that the process enters later may forbid its system call */
    fo_hot.alone = fo_real_single_threaded();
    fo_moved_find();
    fo_hot.tail = (fo_options.canary ? FO_CANARY_LEAST : 0u) + (fo_options.stacks != 0 ? 8u : 0u);
    fo_hot.fill = fo_options.fill;
    fo_hot.checks_frees = fo_options.fill || fo_options.wipe || fo_hot.tail != 0;
    fo_hot.objects = fo_options.objects;
    return true;
}

bool fo_engine_start(void)
{
    static enum { NEW, READY, FAILED } state;

    if (state == NEW)
        state = start() ? READY : FAILED;
    return state == READY;
}

void fo_engine_refuse(void)
{
    if (!fo_options.require)
        return;
    fo_say_words("FREEONCE_REQUIRE=1: the program is ended (exit status 78)", NULL);
    _exit(FO_EXIT_REQUIRE);
}

static void list_cures(void)
{
    char line[128];
    struct fo_text t = FO_TEXT(line);

    fo_put(&t, "cures:");
    for (unsigned i = 0; i < FO_CURE_COUNT; i++)
        if (fo_cure_is_applied(1u << i)) {
            fo_put_char(&t, ' ');
            fo_put(&t, fo_cure_names[i]);
        }
    if (!fo_cure_is_applied(FO_CURES_ALL))
        fo_put(&t, " none");
    fo_say(&t);
}

static void print_verbose(const char *how)
{
    char line[1024], options[1024];
    struct fo_text t = FO_TEXT(line);

    fo_put(&t, "freeonce " FO_VERSION_TEXT " ");
    fo_put(&t, how);
    fo_put(&t, ", pid ");
    fo_put_dec(&t, fo_process_self()->pid);
    fo_say(&t);
    fo_options_list(options, sizeof options);
    fo_say_words("options:", options, NULL);
    t.used = 0;
    if (fo_options_list_file(&t))
        fo_say(&t);
    if (fo_hot.shared)
        list_cures();
}

void fo_engine_report(const char *backend)
{
    char how[512];
    struct fo_text h = {how, sizeof how - 1, 0};

    fo_openssl_describe(&h);
    fo_put(&h, ", before its first allocation, backend ");
    fo_put(&h, backend);
    fo_put(&h, fo_hot.shared ? ", memory shared" : ", memory private");
    how[h.used] = '\0';
    fo_journal_record_guard(FO_JOURNAL_GUARDED, how);
    fo_journal_write_settings();
    if (fo_options.verbose)
        print_verbose(how);
    if (fo_hot.shared)
        fo_openssl_check_cures();
}
