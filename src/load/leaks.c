/* See leaks.h.  exit(3) calls what was registered last first: OpenSSL's own clean-up, the program's
 * functions, the destructors of all libraries.  The library's constructor runs before all others;
 * so what it registers is called when they are done.  A process that ends by _exit(2) or a signal
 * never comes here. */
#include "load/leaks.h"

#include <string.h>

#include "base/elf.h"
#include "base/raw.h"
#include "base/say.h"
#include "block/lost.h"
#include "block/watch.h"
#include "load/library.h"
#include "options/options.h"
#include "process/process.h"
#include "process/rows.h"
#include "report/journal.h"
#include "report/record.h"
#include "report/stacks.h"

int __cxa_atexit(void (*function)(void *), void *argument, void *module);

/* --- may it be looked at? ----------------------------------------------------------------------
 */

/* Of /proc/self/status.  A sandbox that the program has entered since its start may end it for a
 * system call; one that it started in was chosen for all programs, as a container's is. */
struct status {
    bool known;
    unsigned long filters, threads;
};

static unsigned long number_in(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    unsigned long number = 0;

    if (at == NULL)
        return 0;
    for (at += strlen(name); *at >= '0' && *at <= '9'; at++)
        number = number * 10 + (unsigned long)(*at - '0');
    return number;
}

static struct status read_status(void)
{
    struct status status = {.known = false};
    char text[4096];
    int fd = fo_raw_open("/proc/self/status", O_RDONLY | O_CLOEXEC, 0);
    ssize_t n = fd < 0 ? -1 : fo_raw_read(fd, text, sizeof text - 1);

    if (fd >= 0)
        fo_raw_close(fd);
    if (n <= 0 || n == sizeof text - 1) /* with thousands of groups, the filters are behind that */
        return status;
    text[n] = '\0';
    status.known = true;
    status.threads = number_in(text, "\nThreads:\t");
    status.filters = number_in(text, "\nSeccomp_filters:\t"); /* Linux 5.9 */
    if (status.filters == 0)
        status.filters = number_in(text, "\nSeccomp:\t") != 0;
    return status;
}

static unsigned long filters_at_start;

/* --- what is reported --------------------------------------------------------------------------
 */

enum { GROUPS = 256, SIZES = 8 };

/* Lost blocks that are one finding. */
struct group {
    fo_site site;
    uintptr_t caller;
    size_t size; /* of each; 0: they have several */
    uintptr_t first;
    uint64_t word;
    uint32_t stack;
    size_t blocks, bytes, held, held_bytes;
};

static FO_BULKY struct group groups[GROUPS];
static size_t group_count;
static size_t left_out; /* blocks without a group */

/* The code that called OpenSSL: the innermost frame outside of it. */
static uintptr_t caller_in(uint32_t stack)
{
    uintptr_t frames[FO_STACK_MAX];
    unsigned count = fo_stack_frames(stack, frames, FO_STACK_MAX);

    for (unsigned i = 0; i < count; i++)
        if (!fo_libraries_contain(frames[i]))
            return frames[i];
    return 0;
}

/* The one to add to; a new one; or NULL.  Of a line that allocates many sizes, such as that of a
 * string, the sizes after the first few share one. */
static struct group *group_of(fo_site site, uintptr_t caller, size_t size)
{
    struct group *any = NULL;
    size_t sizes = 0;

    for (size_t i = 0; i < group_count; i++) {
        struct group *g = &groups[i];
        if (g->site != site || g->caller != caller)
            continue;
        if (g->size == size)
            return g;
        any = g->size == 0 ? g : any;
        sizes++;
    }
    if (sizes >= SIZES && any != NULL)
        return any;
    if (group_count == GROUPS)
        return NULL;
    groups[group_count] = (struct group){.site = site, .caller = caller};
    groups[group_count].size = sizes >= SIZES ? 0 : size;
    return &groups[group_count++];
}

static void add(void *context, const struct fo_lost *lost)
{
    size_t size = fo_word_size(lost->word);
    uint32_t stack = fo_options.stacks != 0 ? fo_stack_of(lost->payload, size) : 0;
    struct group *g = group_of(lost->site, caller_in(stack), size);

    (void)context;
    if (g == NULL) {
        left_out++;
        return;
    }
    if (g->blocks++ == 0) {
        g->first = lost->payload;
        g->word = lost->word;
        g->stack = stack;
    }
    g->bytes += size;
    g->held += lost->held;
    g->held_bytes += lost->held_bytes;
}

/* Stacks are kept of some blocks only.  If all of the same line and size whose caller is known have
 * the same one, the others count as its, too. */
static void join(struct group *unknown)
{
    struct group *only = NULL;

    for (size_t i = 0; i < group_count; i++) {
        struct group *g = &groups[i];
        if (g->site != unknown->site || g->size != unknown->size || g->caller == 0)
            continue;
        if (only != NULL)
            return;
        only = g;
    }
    if (only == NULL)
        return;
    only->blocks += unknown->blocks;
    only->bytes += unknown->bytes;
    only->held += unknown->held;
    only->held_bytes += unknown->held_bytes;
    unknown->blocks = 0;
}

static void report(const struct group *g)
{
    const struct fo_process *me = fo_process_self();
    const struct fo_record r = {
        .kind = FO_FINDING_LEAK,
        .object = "block",
        .answer = "found at the end of the process",
        .pointer = g->first,
        .block = g->first,
        .size = g->size,
        .lost = {g->blocks, g->bytes, g->held, g->held_bytes},
        .allocated = {true, g->site, fo_word_process(g->word), 0, 0, g->stack},
        .now = {g->caller != 0, 0, me->index, 0, g->caller, 0},
    };

    fo_report_at_end(&r, g->blocks);
}

static void report_left_out(void)
{
    char line[120];
    struct fo_text t = FO_TEXT(line);

    fo_put(&t, "leaks: ");
    fo_put_dec(&t, left_out);
    fo_put(&t, " more blocks are lost, of too many lines to be reported");
    fo_say(&t);
}

/* --- the look ----------------------------------------------------------------------------------
 */

/* A child has copies of its parent's blocks.  They are the parent's to report, unless that has
 * ended, as that of a daemon has. */
static bool is_asked(uint32_t process)
{
    uint32_t self = fo_process_self()->index, parent = fo_row_parent(self);

    return process == self || (parent != 0 && fo_row_pid(parent) != (uint32_t)syscall(SYS_getppid));
}

enum { RANKED = 8 };

/* Objects of OpenSSL that programs know, and that lead to each other in a circle with their parts:
 * by the file that allocates them, the outer ones first. */
static unsigned rank_of(fo_site site)
{
    static const char names[RANKED][20] = {"ssl_lib.c", "quic_impl.c", "ssl_sess.c", "tasn_new.c",
                                           "p_lib.c",   "bio_lib.c",   "x509_lu.c",  "pmeth_lib.c"};
    char file[160];

    if (!fo_elf_string(fo_site_file(site), file, sizeof file))
        return RANKED;
    const char *slash = strrchr(file, '/'), *name = slash != NULL ? slash + 1 : file;
    for (unsigned i = 0; i < RANKED; i++)
        if (strcmp(name, names[i]) == 0)
            return i;
    return RANKED;
}

/* Of several circles of the same kind, such as chains of BIOs, that from the same place. */
static uint64_t order_of(uintptr_t payload, fo_site site, uint64_t word)
{
    uint32_t stack = fo_options.stacks != 0 ? fo_stack_of(payload, fo_word_size(word)) : 0;

    return (uint64_t)rank_of(site) << 32 | (stack != 0 ? stack : UINT32_MAX);
}

static void refuse(enum fo_journal_look look, const char *why)
{
    fo_journal_record_look(look);
    if (!fo_journal_is_kept()) /* else the command says it, and the program's output stays */
        fo_say_words("leaks: this process is not looked at: ", why, NULL);
}

static __attribute__((noinline)) void look(void)
{
    struct status status = read_status();
    const struct fo_lost_asked asked = {
        .is_asked = is_asked,
        .order = order_of,
        .visit = add,
        .others_run = status.threads != 1,
        .in_place = status.filters != 0,
        .stack = (uintptr_t)__builtin_frame_address(0),
    };

    if (FO_RELAXED_LOAD(&fo_hot.shared)) {
        refuse(FO_JOURNAL_NOT_SHARED, "processes share OpenSSL's memory");
        return;
    }
    if (!status.known) {
        refuse(FO_JOURNAL_NOT_SEARCHED, "/proc cannot be read there");
        return;
    }
    if (status.filters != filters_at_start || (status.filters != 0 && status.threads != 1)) {
        refuse(FO_JOURNAL_NOT_SANDBOXED, "its system calls are filtered");
        return;
    }
    const char *why = fo_lost_find(&asked);
    if (why != NULL) {
        refuse(FO_JOURNAL_NOT_SEARCHED, why);
        return;
    }
    fo_journal_record_look(FO_JOURNAL_LOOKED);
    for (size_t i = 0; i < group_count; i++)
        if (groups[i].caller == 0)
            join(&groups[i]);
    for (size_t i = 0; i < group_count; i++)
        if (groups[i].blocks != 0)
            report(&groups[i]);
    if (left_out != 0)
        report_left_out();
}

static void at_end(void *unused)
{
    (void)unused;
    if (fo_hot.memory == NULL || fo_hot.process == NULL ||
        __atomic_load_n(&fo_hot.process->id, __ATOMIC_ACQUIRE) == 0)
        return;              /* no OpenSSL, or a child that has not used it */
    __builtin_unwind_init(); /* the registers, too, may have the only pointer to a block */
    look();
    __asm__ volatile(""); /* no tail call: this frame holds the registers */
}

void fo_leaks_begin(void)
{
    filters_at_start = read_status().filters;
    __cxa_atexit(at_end, NULL, NULL);
}
