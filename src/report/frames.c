/* See frames.h.  The unwinder of libgcc takes two thousand instructions for a frame, which is too
 * much for stacks in production.  But most functions have one frame size at each call: so what the
 * unwinder says is learned, and a stack of which all sizes are known is walked in a few loads.
 *
 * A frame whose size was once another one is never guessed again, and neither is one that the
 * unwinder finds in another way than by its size; and one walk in CHECKED is the unwinder's, to
 * find such frames.  A guess reads only between two places of this thread's stack between which the
 * unwinder has walked.  What is read there counts only if it is a return address that is known.
 *
 * x86-64 has the return address at the upper end of each frame; elsewhere the unwinder walks. */
#include "report/frames.h"

#include <dlfcn.h>
#include <sys/mman.h>
#include <unwind.h>

#include "base/apart.h"
#include "base/libc.h"
#include "base/moved.h"
#include "base/probe.h"
#include "base/real.h"

#ifdef __x86_64__
enum { SIZES = 1 << 13, FRAMES_MOST = 128, CHECKED = 256, OUTERMOST = 0xffff };

static struct {
    _Unwind_Reason_Code (*backtrace)(_Unwind_Trace_Fn, void *);
    _Unwind_Ptr (*ip)(struct _Unwind_Context *);
    _Unwind_Word (*sp)(struct _Unwind_Context *);
} unwind;

/* Return address << 16 | size of its frame in words; size 0: it varies.  0: free.  Relaxed: a word
 * says all of itself, and an old one costs a walk by the unwinder. */
static uint64_t *sizes;

/* The thread's stack, as far as the unwinder has walked; two of its addresses. */
static __thread uintptr_t stack_low, stack_high;

/* Two places for each. */
static uint64_t *place_of(uintptr_t pc)
{
    uint64_t *first = &sizes[(pc * UINT64_C(0x9e3779b97f4a7c15) >> 40) % SIZES & ~1ul];

    return FO_RELAXED_LOAD(&first[1]) >> 16 == pc ? &first[1] : first;
}

static void learn(uintptr_t pc, uintptr_t size)
{
    uint64_t *place = place_of(pc), seen = FO_RELAXED_LOAD(place), fresh = pc << 16 | size;

    if (seen >> 16 == pc && seen != fresh)
        fresh = pc << 16;
    else if (seen >> 16 != pc && seen != 0)
        place++; /* what is there makes room */
    if (seen != fresh)
        FO_RELAXED_STORE(place, fresh);
}

enum { PAGE = 4096 };

static uintptr_t page_of(uintptr_t address)
{
    return address & ~(uintptr_t)(PAGE - 1);
}

/* 0: not all is known.  A stack that a program made itself may lie where a larger one was: so each
 * further page is tried before it is read. */
static int walk_fast(uintptr_t pc, uintptr_t sp, void **out, int most)
{
    uintptr_t page = page_of(sp - sizeof(uintptr_t)); /* in use */
    int count = 0;

    if (sp < stack_low || sp >= stack_high)
        return 0;
    while (count < most) {
        uint64_t known = FO_RELAXED_LOAD(place_of(pc)), size = known & 0xffff;
        if (known >> 16 != pc || size == 0)
            return 0;
        out[count++] = (void *)pc;
        if (size == OUTERMOST)
            break;
        sp += size * 8;
        uintptr_t at = sp - sizeof(uintptr_t);
        if (sp > stack_high || (page_of(at) != page && !fo_is_readable(at, sizeof(uintptr_t))))
            return 0;
        page = page_of(at);
        pc = ((const uintptr_t *)sp)[-1];
    }
    return count;
}

struct walk {
    void **rest; /* what is behind the last frame, if all of it is known */
    int count, most, rest_count;
    uintptr_t pc[FRAMES_MOST], sp[FRAMES_MOST];
};

static _Unwind_Reason_Code take(struct _Unwind_Context *context, void *data)
{
    struct walk *w = data;

    w->pc[w->count] = unwind.ip(context);
    w->sp[w->count] = unwind.sp(context);
    if (++w->count == FRAMES_MOST)
        return _URC_NORMAL_STOP;
    if (w->most == 0 || w->count < 4)
        return _URC_NO_REASON;
    w->rest_count = walk_fast(w->pc[w->count - 1], w->sp[w->count - 1], w->rest, w->most);
    return w->rest_count != 0 ? _URC_NORMAL_STOP : _URC_NO_REASON;
}

static bool is_ordinary(const struct walk *w, int i)
{
    uintptr_t size = w->sp[i + 1] - w->sp[i];

    return size % 8 == 0 && size / 8 - 1 < OUTERMOST - 1 &&
           ((const uintptr_t *)w->sp[i + 1])[-1] == w->pc[i + 1];
}

/* The part of the stack from the first frame up to a frame that is no caller of the one before,
 * such as behind a signal handler. */
static void learn_all(const struct walk *w, int first)
{
    int i = first;

    for (; i + 1 < w->count && is_ordinary(w, i); i++)
        learn(w->pc[i], (w->sp[i + 1] - w->sp[i]) / 8);
    uintptr_t low = w->sp[first], high = w->sp[i];
    bool ends =
        i + 1 == w->count ? w->count < FRAMES_MOST && w->rest_count == 0 : w->pc[i + 1] == 0;
    if (ends || i + 1 < w->count)
        learn(w->pc[i], ends ? OUTERMOST : 0);
    if (low <= stack_high && high >= stack_low) { /* the same stack */
        low = low < stack_low ? low : stack_low;
        high = high > stack_high ? high : stack_high;
    }
    stack_low = low;
    stack_high = high;
}

/* By the unwinder, from this frame on, and with `guess` up to a frame from which on all is known.
 */
static __attribute__((noinline)) int walk_slowly(uintptr_t pc, uintptr_t sp, void **out, int most,
                                                 bool guess)
{
    void *rest[FRAMES_MOST];
    struct walk w = {.rest = rest, .most = guess ? (most < FRAMES_MOST ? most : FRAMES_MOST) : 0};
    int first = 0, count = 0;

    unwind.backtrace(take, &w);
    while (first < w.count && (w.pc[first] != pc || w.sp[first] != sp))
        first++;
    if (first == w.count)
        return 0;
    learn_all(&w, first);
    for (int i = first; i < w.count - (w.rest_count != 0) && count < most && w.pc[i] != 0; i++)
        out[count++] = (void *)w.pc[i];
    for (int i = 0; i < w.rest_count && count < most; i++)
        out[count++] = rest[i];
    return count;
}

__attribute__((noinline)) int fo_frames_walk(void **out, int most)
{
    static __thread unsigned turn;
    uintptr_t pc = (uintptr_t)__builtin_return_address(0), sp = (uintptr_t)__builtin_dwarf_cfa();
    bool guess = ++turn % CHECKED != 0;
    int count = guess ? walk_fast(pc, sp, out, most) : 0;

    return count != 0 ? count : walk_slowly(pc, sp, out, most, guess);
}

bool fo_frames_start(void)
{
    if (!fo_moved_has_dlopen())
        return false;
    void *library = FO_MOVED(dlopen)("libgcc_s.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return false;
    *(void **)&unwind.backtrace = fo_real_dlsym(library, "_Unwind_Backtrace");
    *(void **)&unwind.ip = fo_real_dlsym(library, "_Unwind_GetIP");
    *(void **)&unwind.sp = fo_real_dlsym(library, "_Unwind_GetCFA");
    sizes = fo_apart_map(SIZES * sizeof *sizes, MAP_PRIVATE);
    return unwind.backtrace != NULL && unwind.ip != NULL && unwind.sp != NULL && sizes != NULL;
}

#else

int fo_frames_walk(void **out, int most)
{
    return backtrace(out, most);
}

bool fo_frames_start(void)
{
    void *one;

    return backtrace(&one, 1) > 0; /* the first call loads the unwinder */
}

#endif
