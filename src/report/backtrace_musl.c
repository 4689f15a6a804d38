/* backtrace(3), which musl does not have, for FREEONCE_STACKS: the unwinder of libgcc, as in
 * frames.c.  It finds the callers of functions that have unwind tables; a distribution may build
 * its libraries without. */
#include <dlfcn.h>
#include <unwind.h>

#include "base/libc.h"
#include "base/moved.h"
#include "base/real.h"
#include "base/say.h"

typedef _Unwind_Reason_Code walk_function(_Unwind_Trace_Fn, void *);
typedef _Unwind_Ptr ip_function(struct _Unwind_Context *);

static struct {
    walk_function *walk;
    ip_function *ip;
} unwind;

struct walk {
    void **out;
    int count, most;
};

static _Unwind_Reason_Code take(struct _Unwind_Context *context, void *data)
{
    struct walk *w = data;

    w->out[w->count++] = (void *)unwind.ip(context);
    return w->count < w->most ? _URC_NO_REASON : _URC_NORMAL_STOP;
}

/* NULL: there is none. */
static walk_function *find(void)
{
    void *library = FO_MOVED(dlopen)("libgcc_s.so.1", RTLD_NOW | RTLD_LOCAL), *walk = NULL;

    if (library != NULL) {
        *(void **)&unwind.ip = fo_real_dlsym(library, "_Unwind_GetIP");
        walk = fo_real_dlsym(library, "_Unwind_Backtrace");
    }
    if (walk == NULL)
        fo_say_words("FREEONCE_STACKS: libgcc_s.so.1, which walks the stack, cannot be loaded; no "
                     "stacks are kept",
                     NULL);
    else
        __atomic_store_n((void **)&unwind.walk, walk, __ATOMIC_RELEASE);
    return unwind.walk;
}

int backtrace(void **out, int most)
{
    static bool is_missing; /* relaxed: a second search finds nothing, too */
    struct walk w = {out, 0, most};
    walk_function *walk = __atomic_load_n(&unwind.walk, __ATOMIC_ACQUIRE);

    if (walk == NULL && !FO_RELAXED_LOAD(&is_missing)) {
        walk = find();
        FO_RELAXED_STORE(&is_missing, walk == NULL);
    }
    if (walk != NULL && most > 0)
        walk(take, &w);
    return w.count;
}
