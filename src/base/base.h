/* Macros and small functions that every file of the library uses.  Nothing here has state. */
#ifndef FO_BASE_BASE_H
#define FO_BASE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FO_EXPORT __attribute__((visibility("default")))
#define FO_HIDDEN __attribute__((visibility("hidden"))) /* saves a load of the address */
#define FO_COLD   __attribute__((cold, noinline))
#define FO_HOT    __attribute__((hot, aligned(64))) /* it fills few cache lines */
/* For functions on the path of malloc, realloc or free: no stack canary of the compiler.  They
 * write to no array on the stack, only to words of fixed size, and the check would cost 1 % of a
 * TLS handshake's instructions with FREEONCE_FILL and FREEONCE_CANARY. */
#if defined(__has_attribute)
#if __has_attribute(no_stack_protector)
#define FO_NO_STACK_PROTECTOR __attribute__((no_stack_protector))
#endif
#endif
#ifndef FO_NO_STACK_PROTECTOR
#define FO_NO_STACK_PROTECTOR
#endif
/* Large tables lie behind all other variables, so that the variables that each start touches share
 * few pages.  In front of them lie tables in an order in which what a start touches is close
 * together: 1 is touched whole, of the others only the beginning.  src/CMakeLists.txt sorts by
 * name. */
#define FO_BULKY            __attribute__((section(".bss.bulky")))
#define FO_BEGINNING(order) __attribute__((section(".bss.beginning." #order)))
#define FO_ALWAYS_INLINE    inline __attribute__((always_inline))
#define fo_likely(x)        __builtin_expect(!!(x), 1)
#define fo_unlikely(x)      __builtin_expect(!!(x), 0)

/* User addresses that the kernel returns by default; an address above these needs a hint, or is the
 * kernel's. */
#if defined(__x86_64__)
#define FO_ADDRESS_BITS 47
#elif defined(__aarch64__)
#define FO_ADDRESS_BITS 48
#else
#error "freeonce supports x86-64 and arm64"
#endif

#define FO_ADDRESS_MASK ((UINT64_C(1) << FO_ADDRESS_BITS) - 1)

static inline bool fo_is_address(uintptr_t p)
{
    return (p >> FO_ADDRESS_BITS) == 0;
}

/* A relaxed access is indivisible and orders nothing.  Beside each, or where its variable or file
 * begins, stands why that is enough.  The reasons: one thread owns it; another word, which is
 * acquired, orders it; it is set before a thread can need it; it is a hint, and what follows is
 * checked; it is a count.  tests/models has the orders that matter. */
#define FO_RELAXED_LOAD(p)     __atomic_load_n((p), __ATOMIC_RELAXED)
#define FO_RELAXED_STORE(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)

/* For a value that the fast path compares once and another thread may change: on x86-64 every load
 * acquires, and the compiler makes one instruction of a plain load and a comparison. */
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__) && !defined(__clang__)
#define FO_HOT_LOAD(p)       (*(p))
#define FO_HOT_STORE(p, v)   (*(p) = (v))
#define FO_HOT_ADD(p, n)     (*(p) += (n))
#define FO_HOT_FLIP(p, bits) (*(uint32_t *)(p) ^= (uint32_t)(bits)) /* of the lower half */
#define FO_HOT_OR(p, bits)   (*(p) |= (bits))
#define FO_HOT_AND(p, bits)  (*(p) &= (bits))
#else
#define FO_HOT_LOAD(p)       __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define FO_HOT_STORE(p, v)   __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define FO_HOT_ADD(p, n)     FO_RELAXED_STORE((p), FO_RELAXED_LOAD(p) + (n))
#define FO_HOT_FLIP(p, bits) FO_RELAXED_STORE((p), FO_RELAXED_LOAD(p) ^ (bits))
#define FO_HOT_OR(p, bits)   ((void)__atomic_fetch_or((p), (bits), __ATOMIC_RELAXED))
#define FO_HOT_AND(p, bits)  ((void)__atomic_fetch_and((p), (bits), __ATOMIC_RELAXED))
#endif

/* Hide a value from the optimiser, where its knowledge of the value costs an instruction of the
 * fast path. */
#define FO_OPAQUE(value) __asm__("" : "+r"(value))

/* Not getpid(3), which the library interposes. */
static inline uint32_t fo_getpid(void)
{
    return (uint32_t)syscall(SYS_getpid);
}

/* Acquire a flag that one thread of a process may hold.  Its value is the pid of the holder: after
 * a fork, a flag that a thread of the parent held counts as free.  Released by storing 0. */
static inline bool fo_try_exclusive(uint32_t *flag)
{
    uint32_t holder = FO_RELAXED_LOAD(flag), me = fo_getpid(); /* the exchange decides */

    return holder != me && __atomic_compare_exchange_n(flag, &holder, me, false, __ATOMIC_ACQUIRE,
                                                       __ATOMIC_RELAXED);
}

#endif
