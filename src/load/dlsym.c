/* The second way to see an OpenSSL that was loaded by dlopen: the program then calls dlsym for its
 * functions.  RTLD_NEXT and RTLD_DEFAULT depend on the caller's address, so dlsym and dlvsym check
 * the name and then jump to the real function with the caller's frame unchanged; hence the
 * assembler. */
#include <dlfcn.h>

#include "base/real.h"
#include "load/entries.h"
#include "load/openssl.h"

void *fo_dlsym_enter(void *handle, const char *name);
void *fo_dlvsym_enter(void *handle, const char *name, const char *version);

/* Called in place of the real function: returns the library's definition. */
static __thread void *answer;

static void *return_answer(void)
{
    return answer;
}

/* A program that asks for an interposed function of OpenSSL gets the library's definition, if the
 * real function belongs to a guarded OpenSSL; else `real` answers. */
static void *find_target(void *real, void *handle, const char *name, const char *version)
{
    /* All names of OpenSSL that the library defines begin so, and none of libc's, for which
     * sanitizers ask before their string functions work. */
    if (fo_likely((name[0] < 'A' || name[0] > 'Z') && (name[0] != 'i' || name[1] != '2')))
        return real;
    fo_openssl_check_name(name);
    answer = handle != RTLD_NEXT ? fo_openssl_entry(name, handle, version) : NULL;
    return answer != NULL || fo_openssl_is_missing(name, handle) ? (void *)return_answer : real;
}

__attribute__((used)) void *fo_dlsym_enter(void *handle, const char *name)
{
    fo_dlsym_function *real = fo_real_dlsym_function();

    return find_target(*(void **)&real, handle, name, NULL);
}

__attribute__((used)) void *fo_dlvsym_enter(void *handle, const char *name, const char *version)
{
    fo_dlvsym_function *real = fo_real_dlvsym_function();

    return find_target(*(void **)&real, handle, name, version);
}

#if defined(__x86_64__)
#define ENTRY(name)                                                                                \
    ".globl " #name "\n"                                                                           \
    ".type " #name ", @function\n" #name ":\n"                                                     \
    "  .cfi_startproc\n"                                                                           \
    "  endbr64\n"                                                                                  \
    "  pushq %rdi\n"                                                                               \
    "  .cfi_adjust_cfa_offset 8\n"                                                                 \
    "  pushq %rsi\n"                                                                               \
    "  .cfi_adjust_cfa_offset 8\n"                                                                 \
    "  pushq %rdx\n"                                                                               \
    "  .cfi_adjust_cfa_offset 8\n"                                                                 \
    "  call fo_" #name "_enter\n"                                                                  \
    "  popq %rdx\n"                                                                                \
    "  .cfi_adjust_cfa_offset -8\n"                                                                \
    "  popq %rsi\n"                                                                                \
    "  .cfi_adjust_cfa_offset -8\n"                                                                \
    "  popq %rdi\n"                                                                                \
    "  .cfi_adjust_cfa_offset -8\n"                                                                \
    "  jmp *%rax\n"                                                                                \
    "  .cfi_endproc\n"                                                                             \
    ".size " #name ", . - " #name "\n"
#elif defined(__aarch64__)
#define ENTRY(name)                                                                                \
    ".globl " #name "\n"                                                                           \
    ".type " #name ", %function\n" #name ":\n"                                                     \
    "  .cfi_startproc\n"                                                                           \
    "  hint #34\n" /* bti c */                                                                     \
    "  stp x29, x30, [sp, #-48]!\n"                                                                \
    "  .cfi_def_cfa_offset 48\n"                                                                   \
    "  .cfi_offset 29, -48\n"                                                                      \
    "  .cfi_offset 30, -40\n"                                                                      \
    "  stp x0, x1, [sp, #16]\n"                                                                    \
    "  str x2, [sp, #32]\n"                                                                        \
    "  bl fo_" #name "_enter\n"                                                                    \
    "  mov x16, x0\n"                                                                              \
    "  ldp x0, x1, [sp, #16]\n"                                                                    \
    "  ldr x2, [sp, #32]\n"                                                                        \
    "  ldp x29, x30, [sp], #48\n"                                                                  \
    "  .cfi_restore 29\n"                                                                          \
    "  .cfi_restore 30\n"                                                                          \
    "  .cfi_def_cfa_offset 0\n"                                                                    \
    "  br x16\n"                                                                                   \
    "  .cfi_endproc\n"                                                                             \
    ".size " #name ", . - " #name "\n"
#endif

__asm__(".pushsection .text\n" ENTRY(dlsym) ENTRY(dlvsym) ".popsection\n");
