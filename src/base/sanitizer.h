/* ThreadSanitizer in the program that the library is preloaded in front of.  It does not see the
 * library's own code, unless that is built with it, too. */
#ifndef FO_BASE_SANITIZER_H
#define FO_BASE_SANITIZER_H

#include "base/hot.h"

/* From its runtime, in the program (clang) or in a library (gcc). */
extern void __tsan_init(void) __attribute__((weak));

static inline bool fo_has_tsan(void)
{
#if FO_HAS_TSAN || defined(__SANITIZE_THREAD__)
    return false;
#else
    return __tsan_init != NULL;
#endif
}

/* In a program of clang's the runtime starts after this library; until then strcmp(3) and all other
 * functions that it replaces jump to address 0.  Instrumented libraries start it in the same way;
 * the second call does nothing. */
static inline void fo_begin_tsan(void)
{
    if (fo_has_tsan())
        __tsan_init();
}

#endif
