/* Functions of objects.def that a program gets from dlsym(3), as programs with ctypes, .NET and Go
 * do.  A handle names one library, so the result of dlsym must call that library's function and no
 * other, for every caller: each row has one entry for dlsym, with one function.  The same function
 * of a second library is not guarded; dlsym returns it itself. */
#include "base/elf.h"
#include "load/objects.h"
#include "load/openssl.h"

/* For each row and each major version.  Set before the entry's address is returned to a program. */
static FO_BULKY fo_object_function *asked[FO_OBJECT_COUNT * 2];

void *fo_object_asked_enter(void *p, const void *second, uint32_t entry);

/* The entries jump here, so the return address is the program's. */
__attribute__((used)) FO_HIDDEN void *fo_object_asked_enter(void *p, const void *second,
                                                            uint32_t entry)
{
    fo_object_function *function = __atomic_load_n(&asked[entry], __ATOMIC_ACQUIRE);

    if (p == NULL)
        return function(p, second);
    return fo_object_call(function, p, second, &fo_object_real[entry],
                          (uintptr_t)__builtin_return_address(0));
}

/* All entries have one size, so no table of addresses is needed, which the dynamic linker would
 * have to relocate at the start of every process. */
#define ENTRY_SIZE 16
#if defined(__x86_64__)
#define ENTER                                                                                      \
    "  endbr64\n"                                                                                  \
    "  movl $fo_object_asked_at, %edx\n"                                                           \
    "  jmp fo_object_asked_enter\n"
#elif defined(__aarch64__)
#define ENTER                                                                                      \
    "  hint #34\n" /* bti c */                                                                     \
    "  movz w2, #fo_object_asked_at\n"                                                             \
    "  b fo_object_asked_enter\n"
#endif
#define ENTRY ENTER ".balign 16\n.set fo_object_asked_at, fo_object_asked_at + 1\n"

extern const char fo_object_asked_entries[FO_OBJECT_COUNT * 2][ENTRY_SIZE] FO_HIDDEN;

/* clang-format off */
__asm__(".pushsection .text\n"
        ".balign 16\n"
        ".globl fo_object_asked_entries\n"
        ".hidden fo_object_asked_entries\n"
        ".cfi_startproc\n"
        "fo_object_asked_entries:\n"
        ".set fo_object_asked_at, 0\n"
#define FO_OBJECT(name, type, shape, part, since3, since4) ENTRY ENTRY
#include "load/objects.def"
#undef FO_OBJECT
        ".cfi_endproc\n"
        ".size fo_object_asked_entries, . - fo_object_asked_entries\n"
        ".popsection\n");
/* clang-format on */

/* Claim the entry for this function.  False: another function has it. */
static bool claim(size_t entry, enum fo_part part, const char *name, fo_object_function *function)
{
    fo_object_function *before = NULL;

    if (__atomic_compare_exchange_n(&asked[entry], &before, function, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE) ||
        before == function)
        return true;
    /* Its library was closed, so no program may call it any more. */
    return fo_library_defines(part, name, *(void **)&before) == 0 &&
           /* A failure changes nothing: relaxed. */
           __atomic_compare_exchange_n(&asked[entry], &before, function, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_RELAXED);
}

/* The entry to which the program's own references to `name` are bound. */
static void *linked_entry(const char *name, unsigned major)
{
    struct fo_module own;

    return fo_elf_module((uintptr_t)fo_object_asked_entries, &own)
               ? fo_elf_bound_function(&own, name, major == 4 ? "OPENSSL_4." : "OPENSSL_3.")
               : NULL;
}

static void *entry_of(enum fo_part part, const char *name, void *real)
{
    int object = fo_object_named(part, name);
    unsigned major = object >= 0 ? fo_library_defines(part, name, real) : 0;
    size_t entry = (size_t)FO_OBJECT_SLOT(object, major);
    fo_object_function *function;

    if (!FO_LIBC_HAS_VERSIONS && fo_library_is_always_chosen(part, major, name, real))
        return linked_entry(name, major); /* also of a library that is no OpenSSL */
    if ((major != 3 && major != 4) || !fo_openssl_has_all_guarded(major))
        return NULL;
    if (fo_library_is_always_chosen(part, major, name, real))
        return linked_entry(name, major);
    *(void **)&function = real;
    return claim(entry, part, name, function) ? (void *)fo_object_asked_entries[entry] : NULL;
}

void *fo_object_dlsym_entry(const char *name, void *real)
{
    void *entry = real != NULL ? entry_of(FO_PART_CRYPTO, name, real) : NULL;

    return entry == NULL && real != NULL ? entry_of(FO_PART_SSL, name, real) : entry;
}
