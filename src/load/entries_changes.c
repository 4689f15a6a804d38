/* OpenSSL's names of the functions in changes.def, for callers of OpenSSL 3 and of OpenSSL 4. Their
 * arguments differ in kind and number, so each entry is a few instructions of assembler that leave
 * them unchanged.  It jumps to OpenSSL's function, if that is known and calls are not judged;
 * otherwise fo_change_judge() decides.  No argument is a floating point number.
 *
 * As in openssl_api.c, the versions are hidden (one @): only callers of OpenSSL are bound to these
 * entries. */
#include "load/changes.h"
#include "load/named.h"

#if defined(__x86_64__)
#define BEGIN                                                                                      \
    ".type fo_change_enter, @function\n"                                                           \
    "fo_change_enter:\n"                                                                           \
    "  cmpb $0, fo_made_watched(%rip)\n"                                                           \
    "  jne 1f\n"                                                                                   \
    "  leaq fo_change_real(%rip), %r10\n"                                                          \
    "  movq (%r10,%r11,8), %r10\n"                                                                 \
    "  testq %r10, %r10\n"                                                                         \
    "  je 1f\n"                                                                                    \
    "  jmp *%r10\n"                                                                                \
    "1:\n"                                                                                         \
    "  pushq %rax\n"                                                                               \
    "  pushq %r9\n"                                                                                \
    "  pushq %r8\n"                                                                                \
    "  pushq %rcx\n"                                                                               \
    "  pushq %rdx\n"                                                                               \
    "  pushq %rsi\n"                                                                               \
    "  pushq %rdi\n"                                                                               \
    "  .cfi_adjust_cfa_offset 56\n"                                                                \
    "  movq %r11, %rdi\n"                                                                          \
    "  movq %rsp, %rsi\n"                                                                          \
    "  movq 56(%rsp), %rdx\n"                                                                      \
    "  call fo_change_judge\n"                                                                     \
    "  movq %rax, %r11\n"                                                                          \
    "  movq %rdx, %r10\n"                                                                          \
    "  popq %rdi\n"                                                                                \
    "  popq %rsi\n"                                                                                \
    "  popq %rdx\n"                                                                                \
    "  popq %rcx\n"                                                                                \
    "  popq %r8\n"                                                                                 \
    "  popq %r9\n"                                                                                 \
    "  popq %rax\n"                                                                                \
    "  .cfi_adjust_cfa_offset -56\n"                                                               \
    "  testq %r11, %r11\n"                                                                         \
    "  je 2f\n"                                                                                    \
    "  jmp *%r11\n"                                                                                \
    "2:\n"                                                                                         \
    "  movq %r10, %rax\n"                                                                          \
    "  ret\n"                                                                                      \
    ".size fo_change_enter, . - fo_change_enter\n"
#define ENTER                                                                                      \
    "  endbr64\n"                                                                                  \
    "  movl $fo_change_at, %r11d\n"                                                                \
    "  jmp fo_change_enter\n"
#elif defined(__aarch64__)
#define BEGIN                                                                                      \
    ".type fo_change_enter, %function\n"                                                           \
    "fo_change_enter:\n"                                                                           \
    "  adrp x16, fo_made_watched\n"                                                                \
    "  ldrb w16, [x16, #:lo12:fo_made_watched]\n"                                                  \
    "  cbnz w16, 1f\n"                                                                             \
    "  adrp x16, fo_change_real\n"                                                                 \
    "  add x16, x16, #:lo12:fo_change_real\n"                                                      \
    "  ldr x16, [x16, x17, lsl #3]\n"                                                              \
    "  cbz x16, 1f\n"                                                                              \
    "  br x16\n"                                                                                   \
    "1:\n"                                                                                         \
    "  stp x29, x30, [sp, #-96]!\n"                                                                \
    "  .cfi_def_cfa_offset 96\n"                                                                   \
    "  .cfi_offset 29, -96\n"                                                                      \
    "  .cfi_offset 30, -88\n"                                                                      \
    "  stp x0, x1, [sp, #16]\n"                                                                    \
    "  stp x2, x3, [sp, #32]\n"                                                                    \
    "  stp x4, x5, [sp, #48]\n"                                                                    \
    "  stp x6, x7, [sp, #64]\n"                                                                    \
    "  str x8, [sp, #80]\n"                                                                        \
    "  mov x0, x17\n"                                                                              \
    "  add x1, sp, #16\n"                                                                          \
    "  mov x2, x30\n"                                                                              \
    "  bl fo_change_judge\n"                                                                       \
    "  mov x16, x0\n"                                                                              \
    "  mov x17, x1\n"                                                                              \
    "  ldp x0, x1, [sp, #16]\n"                                                                    \
    "  ldp x2, x3, [sp, #32]\n"                                                                    \
    "  ldp x4, x5, [sp, #48]\n"                                                                    \
    "  ldp x6, x7, [sp, #64]\n"                                                                    \
    "  ldr x8, [sp, #80]\n"                                                                        \
    "  ldp x29, x30, [sp], #96\n"                                                                  \
    "  .cfi_restore 29\n"                                                                          \
    "  .cfi_restore 30\n"                                                                          \
    "  .cfi_def_cfa_offset 0\n"                                                                    \
    "  cbz x16, 2f\n"                                                                              \
    "  br x16\n"                                                                                   \
    "2:\n"                                                                                         \
    "  mov x0, x17\n"                                                                              \
    "  ret\n"                                                                                      \
    ".size fo_change_enter, . - fo_change_enter\n"
#define ENTER                                                                                      \
    "  hint #34\n" /* bti c */                                                                     \
    "  movz x17, #fo_change_at\n"                                                                  \
    "  b fo_change_enter\n"
#endif

#define DEFINE(name, version)                                                                      \
    ".globl fo_change_of_" name "\n.type fo_change_of_" name ", STT_FUNC\n"                        \
    "fo_change_of_" name ":\n" ENTER ".size fo_change_of_" name ", . - fo_change_of_" name "\n"
#define ENTRY(name, major, version)                                                                \
    DEFINE(#name "_" #major, version)                                                              \
    FO_NAMED("fo_change_of_" #name "_" #major, #name, version)
#define PLACE(name, major, version) ".long fo_change_of_" #name "_" #major " - fo_change_entries\n"

/* For each version in the table. */
#define AT_NO(what, none, name)    none
#define AT_3_0_0(what, none, name) what(name, 3, "3.0.0")
#define AT_3_2_0(what, none, name) what(name, 3, "3.2.0")
#define AT_3_4_0(what, none, name) what(name, 3, "3.4.0")
#define AT_3_5_0(what, none, name) what(name, 3, "3.5.0")
#define AT_4_0_0(what, none, name) what(name, 4, "4.0.0")

/* clang-format off */
__asm__(".pushsection .text\n"
        ".cfi_startproc\n"
        BEGIN
        ".set fo_change_at, 0\n"
#define FO_CHANGE(name, type, how, argument, part, since3, since4)                                 \
        AT_##since3(ENTRY, "", name) ".set fo_change_at, fo_change_at + 1\n"                       \
        AT_##since4(ENTRY, "", name) ".set fo_change_at, fo_change_at + 1\n"
#include "load/changes.def"
        ".cfi_endproc\n"
        ".popsection\n"
        ".pushsection .rodata\n"
        ".balign 4\n"
        ".globl fo_change_entries\n"
        ".hidden fo_change_entries\n"
        "fo_change_entries:\n"
#define FO_CHANGE(name, type, how, argument, part, since3, since4)                                 \
        AT_##since3(PLACE, ".long 0\n", name) AT_##since4(PLACE, ".long 0\n", name)
#include "load/changes.def"
        ".popsection\n");
/* clang-format on */
