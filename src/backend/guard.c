/* Backend `guard`: see guard.h.  Called by the hooks for blocks of the sample, and by the
 * quarantine for their frees, which do not wait.
 *
 * Relaxed: the count of live blocks, and what the thread that has a slot writes before it releases
 * the slot's state. */
#include "backend/guard.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backend/backend.h"
#include "backend/guard_slots.h"
#include "base/apart.h"
#include "base/raw.h"
#include "base/say.h"
#include "base/shared_number.h"
#include "options/options.h"
#include "process/process.h"

enum {
    SLOTS_PER_LIVE = 4,      /* slots of one page for each block that may live */
    LIVE_LEAST = 16,         /* fewer are not worth a reservation */
    LIVE_MOST = 1 << 24,     /* so that slots can be counted in 32 bits */
    MAPPINGS_DEFAULT = 65530 /* Linux's own, where vm.max_map_count cannot be read */
};

static uint32_t one_in;
static fo_guard_evicted *on_evicted;
static uint32_t live, live_max; /* blocks of this process */
/* 1: a process of the tree has reported why some blocks are not guarded. */
static struct fo_shared_u32 *reported;

/* --- the bound ---------------------------------------------------------------------------------
 */

static FO_COLD void report_bound(const char *why)
{
    char line[300];
    struct fo_text t = FO_TEXT(line);

    if (fo_shared_swap(reported, 1) != 0)
        return;
    fo_put(&t, "guard: ");
    fo_put(&t, why);
    fo_put(&t, " (");
    fo_put_dec(&t, FO_RELAXED_LOAD(&live));
    fo_put(&t, " blocks are guarded, FREEONCE_GUARD_MAX is ");
    fo_put_dec(&t, live_max);
    fo_put(&t, " here); further blocks come from the backend beneath until some are freed");
    fo_say(&t);
}

/* Count one more live block, within the bound. */
static bool enter_live(void)
{
    if (__atomic_add_fetch(&live, 1, __ATOMIC_RELAXED) <= live_max)
        return true;
    __atomic_fetch_sub(&live, 1, __ATOMIC_RELAXED);
    report_bound("no more blocks may be guarded");
    return false;
}

static void leave_live(void)
{
    __atomic_fetch_sub(&live, 1, __ATOMIC_RELAXED);
}

/* --- blocks ------------------------------------------------------------------------------------
 */

/* Records are read without a lock: state, fields, and state again.  So each field is written after
 * the state that says "changing", and before the one that follows. */
static void publish(uint64_t *field, uint64_t value)
{
    __atomic_store_n(field, value, __ATOMIC_RELEASE);
}

/* Evict the record of the block that was in this slot. */
static void evict_record(const struct fo_guard_slot *s)
{
    uintptr_t before = (uintptr_t)s->record.address;

    if (before != 0)
        on_evicted(before);
}

/* A slot with its pages open. */
static struct fo_guard_slot *new_slot(struct fo_guard_class *c, size_t room)
{
    uint32_t process = fo_process_serial();
    struct fo_guard_slot *s = fo_guard_next(c, process);

    if (s == NULL) {
        report_bound("all places for blocks of one size are in use");
        return NULL;
    }
    FO_RELAXED_STORE(&s->state, FO_GUARD_CHANGING);
    evict_record(s);
    publish(&s->record.address, 0);
    if (fo_guard_open(fo_guard_run_end(c, s), room))
        return s;
    fo_guard_queue(c, s, process);
    report_bound("the system gives no more mappings");
    return NULL;
}

uintptr_t fo_guard_take(uint64_t word, fo_site allocated)
{
    size_t room = fo_guard_room(fo_word_size(word));
    struct fo_guard_class *c = fo_guard_class_for(room);
    if (c == NULL || !enter_live())
        return 0;
    int saved_errno = errno;
    struct fo_guard_slot *s = new_slot(c, room);
    errno = saved_errno;
    if (s == NULL) {
        leave_live();
        return 0;
    }
    uintptr_t payload = fo_guard_run_end(c, s) - room + sizeof(struct fo_header);
    publish(&s->record.address, payload);
    publish(&s->record.allocated, allocated);
    publish(&s->record.word, word);
    publish(&s->record.stacks, 0);
    __atomic_store_n(&s->state, FO_GUARD_LIVE, __ATOMIC_RELEASE);
    return payload;
}

bool fo_guard_find(uintptr_t address, struct fo_guarded *out)
{
    struct fo_guard_class *c;
    const struct fo_guard_slot *s = fo_guard_slot_at(address, &c);
    uint32_t state = s != NULL ? __atomic_load_n(&s->state, __ATOMIC_ACQUIRE) : FO_GUARD_NEVER;

    if (state != FO_GUARD_LIVE && state != FO_GUARD_FREED)
        return false;
    out->live = state == FO_GUARD_LIVE;
    out->record.address = __atomic_load_n(&s->record.address, __ATOMIC_ACQUIRE);
    out->record.allocated = __atomic_load_n(&s->record.allocated, __ATOMIC_ACQUIRE);
    out->record.word = __atomic_load_n(&s->record.word, __ATOMIC_ACQUIRE);
    out->record.freed = __atomic_load_n(&s->record.freed, __ATOMIC_ACQUIRE);
    out->record.thread_id = __atomic_load_n(&s->record.thread_id, __ATOMIC_ACQUIRE);
    out->record.caller = __atomic_load_n(&s->record.caller, __ATOMIC_ACQUIRE);
    out->record.stacks = __atomic_load_n(&s->record.stacks, __ATOMIC_ACQUIRE);
    return FO_RELAXED_LOAD(&s->state) == state &&
           FO_RELAXED_LOAD(&s->record.address) == out->record.address;
}

void fo_guard_keep_stack(uintptr_t payload, uint32_t stack)
{
    struct fo_guard_class *c;
    struct fo_guard_slot *s = fo_guard_slot_at(payload, &c);

    if (s != NULL)
        publish(&s->record.stacks, (uint64_t)stack << 32);
}

uint32_t fo_guard_stack_of(uintptr_t payload)
{
    struct fo_guarded g;

    return fo_guard_find(payload, &g) ? (uint32_t)(g.record.stacks >> 32) : 0;
}

/* --- the interface of backends -----------------------------------------------------------------
 */

/* fo_guard_take() makes guarded blocks, since it needs the word and the site. */
static void *guard_alloc(size_t size, const char *file, int line)
{
    (void)size;
    (void)file;
    (void)line;
    return NULL;
}

static void guard_free(void *block, size_t size, const char *file, int line)
{
    struct fo_guard_class *c;
    struct fo_guard_slot *s = fo_guard_slot_at((uintptr_t)block, &c);
    uint32_t process = fo_process_serial();
    int saved_errno = errno;

    (void)size;
    if (s == NULL)
        return;
    FO_RELAXED_STORE(&s->record.freed, fo_site_pack(file, line));
    FO_RELAXED_STORE(&s->record.thread_id, fo_thread_id());
    FO_RELAXED_STORE(&s->record.caller, fo_thread.caller);
    FO_RELAXED_STORE(&s->record.stacks, fo_thread.stacks);
    __atomic_store_n(&s->state, FO_GUARD_FREED, __ATOMIC_RELEASE);
    fo_guard_close(fo_guard_run_end(c, s), fo_guard_room(fo_word_size(s->record.word)));
    fo_guard_queue(c, s, process);
    leave_live();
    errno = saved_errno;
}

const struct freeonce_backend fo_guard_backend = {
    .abi = FREEONCE_BACKEND_ABI,
    .struct_size = sizeof(struct freeonce_backend),
    .name = "guard",
    .alloc = guard_alloc,
    .free = guard_free,
};

/* --- the sample --------------------------------------------------------------------------------
 */

/* Each thread draws numbers of its own (xorshift64*), with a new seed in each process: siblings
 * that were forked from one parent, and the next run of the program, guard other blocks. */
bool fo_guard_is_chosen(uint32_t process)
{
    static __thread struct {
        uint64_t state;
        uint32_t process;
    } draw;

    if (one_in == 1)
        return true;
    if (fo_unlikely(draw.process != process)) {
        uint64_t seed = fo_hot.secret ^ (uint64_t)fo_getpid() << 32 ^ process ^ (uintptr_t)&draw;
        seed = (seed ^ seed >> 31) * UINT64_C(0x9e3779b97f4a7c15);
        draw.state = (seed ^ seed >> 29) | 1;
        draw.process = process;
    }
    draw.state ^= draw.state >> 12;
    draw.state ^= draw.state << 25;
    draw.state ^= draw.state >> 27;
    uint64_t drawn = draw.state * UINT64_C(0x2545f4914f6cdd1d) >> 32;
    return drawn * one_in >> 32 == 0;
}

/* --- start -------------------------------------------------------------------------------------
 */

/* vm.max_map_count. */
static size_t mappings_allowed(void)
{
    char text[32];
    size_t n = 0;
    int fd = fo_raw_open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC, 0);
    ssize_t length = fd >= 0 ? fo_raw_read(fd, text, sizeof text) : -1;

    if (fd >= 0)
        fo_raw_close(fd);
    for (ssize_t i = 0; i < length && text[i] >= '0' && text[i] <= '9'; i++)
        n = n * 10 + (size_t)(text[i] - '0');
    return n != 0 ? n : MAPPINGS_DEFAULT;
}

/* A live block costs two mappings: so at least a quarter of all is left to the program. */
static uint32_t bound(void)
{
    size_t most = mappings_allowed() / 8 * 3, wanted = fo_options.guard_max;

    if (wanted > most)
        wanted = most;
    return wanted < LIVE_MOST ? (uint32_t)wanted : LIVE_MOST;
}

static uint32_t power_of_two(uint32_t least)
{
    uint32_t n = 1;

    while (n < least)
        n *= 2;
    return n;
}

bool fo_guard_start(uint32_t n, fo_guard_evicted *evicted)
{
    one_in = n;
    on_evicted = evicted;
    live_max = bound();
    while (live_max >= LIVE_LEAST && !fo_guard_reserve(power_of_two(SLOTS_PER_LIVE * live_max)))
        live_max /= 2;
    reported = fo_apart_map(sizeof *reported, MAP_SHARED);
    if (live_max < LIVE_LEAST || reported == NULL) {
        fo_say_words("guard: no block is guarded: there is no room for them (address space limit, "
                     "or FREEONCE_GUARD_MAX below 16)",
                     NULL);
        return false;
    }
    fo_guard_watch_faults();
    return true;
}
