/* The second net for an OpenSSL that was loaded by dlopen: whoever did so asks dlsym for its
 * functions.  RTLD_NEXT and RTLD_DEFAULT depend on the caller's address, so dlsym and dlvsym look
 * first and then jump to the real one with the caller's frame untouched; hence the assembler. */
#include <dlfcn.h>

#include "base/real.h"
#include "load/entries.h"
#include "load/openssl.h"

void *fo_dlsym_enter(void *handle, const char *name);
void *fo_dlvsym_enter(void *handle, const char *name, const char *version);

/* A stand-in for the real function: it answers with our definition instead. */
static __thread void *answer;

static void *give_answer(void)
{
    return answer;
}

/* A program that asks for a function of OpenSSL's which we interpose gets ours, if the real one
 * belongs to an OpenSSL that calls our functions; else what it asks for comes from `real`. */
static void *where_to_jump(void *real, void *handle, const char *name, const char *version)
{
    /* All of OpenSSL's names that we define, and none of libc's, which sanitizers ask for before
     * their functions for strings work. */
    if (fo_likely((name[0] < 'A' || name[0] > 'Z') && (name[0] != 'i' || name[1] != '2')))
        return real;
    fo_openssl_asked_for(name);
    answer = handle != RTLD_NEXT ? fo_openssl_entry(name, handle, version) : NULL;
    return answer != NULL ? (void *)give_answer : real;
}

__attribute__((used)) void *fo_dlsym_enter(void *handle, const char *name)
{
    fo_dlsym_function *real = fo_real_dlsym_function();

    return where_to_jump(*(void **)&real, handle, name, NULL);
}

__attribute__((used)) void *fo_dlvsym_enter(void *handle, const char *name, const char *version)
{
    fo_dlvsym_function *real = fo_real_dlvsym_function();

    return where_to_jump(*(void **)&real, handle, name, version);
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
