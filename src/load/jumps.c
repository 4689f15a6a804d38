/* longjmp(3) and related functions may leave a call of X_free(): from a callback, or from a signal
 * handler.  Then the caller that this thread noted for that call (process/process.h) is cleared.
 * The target of the jump is not checked: if it is inside the callback, later frees of that call are
 * reported without the program's code that made it. */
#include "base/libc.h"
#include "base/real.h"
#include "load/jumps.h"
#include "process/process.h"

typedef void jump_function(void *target, int value);

/* ThreadSanitizer must not record this frame: it has unwound its own stack before. */
#define INTERPOSE(name)                                                                            \
    static void *name##_slot;                                                                      \
    _Noreturn void name(void *target, int value);                                                  \
    FO_EXPORT __attribute__((no_sanitize("thread"))) void name(void *target, int value)            \
    {                                                                                              \
        jump_function *real;                                                                       \
                                                                                                   \
        fo_thread_abandon();                                                                       \
        *(void **)&real = fo_real(&name##_slot, #name);                                            \
        real(target, value);                                                                       \
        __builtin_unreachable();                                                                   \
    }

FO_LIBC_JUMPS(INTERPOSE)

void fo_jumps_find(void)
{
#define FIND(name) fo_real(&name##_slot, #name);
    FO_LIBC_JUMPS(FIND)
}
