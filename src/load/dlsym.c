/* The second net for an OpenSSL that was loaded by dlopen: whoever did so asks dlsym for its
 * functions.  dlsym(RTLD_NEXT) depends on its caller's address, so ours looks first and then
 * jumps to the real one with the caller's frame untouched; hence the assembler. */
#include <dlfcn.h>

#include "load/entries.h"
#include "load/openssl.h"
#include "load/real.h"

void *fo_dlsym_enter(void *handle, const char *name);

/* Stand-ins for the real dlsym: they answer with our definition instead. */
static __thread void *answer;

static void *give_answer(void *handle, const char *name)
{
    (void)handle;
    (void)name;
    return answer;
}

/* What to jump to.  Programs that fetch an entry point of OpenSSL which we interpose get ours,
 * if the real one belongs to an OpenSSL that calls our functions. */
__attribute__((used)) void *fo_dlsym_enter(void *handle, const char *name)
{
    fo_dlsym_function *real = fo_real_dlsym_function();

    if (fo_unlikely(name[0] == 'O' || name[0] == 'C' || name[0] == 'S' || name[0] == 'E' ||
                    name[0] == 'T' || name[0] == 'X' || name[0] == 'i')) {
        fo_openssl_asked_for(name);
        answer = handle != RTLD_NEXT ? fo_openssl_entry(name, handle) : NULL;
        if (answer != NULL)
            real = give_answer;
    }
    return *(void **)&real;
}

#if defined(__x86_64__)
__asm__(".pushsection .text\n"
        ".globl dlsym\n"
        ".type dlsym, @function\n"
        "dlsym:\n"
        "  .cfi_startproc\n"
        "  endbr64\n"
        "  pushq %rdi\n"
        "  .cfi_adjust_cfa_offset 8\n"
        "  pushq %rsi\n"
        "  .cfi_adjust_cfa_offset 8\n"
        "  subq $8, %rsp\n"
        "  .cfi_adjust_cfa_offset 8\n"
        "  call fo_dlsym_enter\n"
        "  addq $8, %rsp\n"
        "  .cfi_adjust_cfa_offset -8\n"
        "  popq %rsi\n"
        "  .cfi_adjust_cfa_offset -8\n"
        "  popq %rdi\n"
        "  .cfi_adjust_cfa_offset -8\n"
        "  jmp *%rax\n"
        "  .cfi_endproc\n"
        ".size dlsym, . - dlsym\n"
        ".popsection\n");
#elif defined(__aarch64__)
__asm__(".pushsection .text\n"
        ".globl dlsym\n"
        ".type dlsym, %function\n"
        "dlsym:\n"
        "  .cfi_startproc\n"
        "  hint #34\n" /* bti c */
        "  stp x29, x30, [sp, #-32]!\n"
        "  .cfi_def_cfa_offset 32\n"
        "  .cfi_offset 29, -32\n"
        "  .cfi_offset 30, -24\n"
        "  stp x0, x1, [sp, #16]\n"
        "  bl fo_dlsym_enter\n"
        "  mov x16, x0\n"
        "  ldp x0, x1, [sp, #16]\n"
        "  ldp x29, x30, [sp], #32\n"
        "  .cfi_restore 29\n"
        "  .cfi_restore 30\n"
        "  .cfi_def_cfa_offset 0\n"
        "  br x16\n"
        "  .cfi_endproc\n"
        ".size dlsym, . - dlsym\n"
        ".popsection\n");
#endif
