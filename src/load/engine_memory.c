/* See engine_memory.h.  If nothing was allocated yet, the libcrypto gets the program's functions,
 * as without the library.  After an allocation, OpenSSL alone would have refused them and kept
 * libc's memory.  Then the libcrypto gets functions that use libc's memory for new blocks, and
 * recognise the blocks that the library allocated before. */
#include "load/engine_memory.h"

#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "base/elf.h"
#include "base/format.h"
#include "base/libc_memory.h"
#include "base/say.h"
#include "block/hooks.h"
#include "block/sample.h"
#include "load/engine.h"
#include "load/entries.h"
#include "load/mixing.h"
#include "load/openssl.h"
#include "report/journal.h"

/* The program's own OpenSSL, if it may get blocks of the library. */
static uintptr_t program_start, program_end;

bool fo_engine_contains(uintptr_t code)
{
    struct fo_module module;

    return fo_elf_module(code, &module) && fo_elf_function(&module, "bind_engine") != NULL;
}

static void *allocate(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return size != 0 ? malloc(size) : NULL;
}

static void release(void *p, const char *file, int line)
{
    if (fo_mixing_has_block(p))
        fo_free(p, file, line);
    else
        fo_libc_memory.free(p);
}

static void *move(void *p, size_t size, const char *file, int line)
{
    if (p == NULL)
        return allocate(size, file, line);
    if (fo_mixing_has_block(p))
        return fo_realloc(p, size, file, line);
    if (size != 0)
        return fo_libc_memory.realloc(p, size);
    fo_libc_memory.free(p);
    return NULL;
}

bool fo_engine_is_hidden(const void *real)
{
    fo_malloc_function *function = allocate;

    return real == *(void **)&function;
}

bool fo_engine_can_mix(uintptr_t caller)
{
    uintptr_t start = __atomic_load_n(&program_start, __ATOMIC_ACQUIRE);

    return start != 0 && caller >= start && caller < program_end;
}

static void allow_mixing(const struct fo_host *functions)
{
    struct fo_module module;

    if (!fo_elf_module((uintptr_t)functions->malloc, &module))
        return;
    program_end = module.end;
    __atomic_store_n(&program_start, module.start, __ATOMIC_RELEASE);
}

static void report_engine(const struct fo_openssl *o, uintptr_t caller)
{
    char line[400];
    struct fo_text t = {line, sizeof line - 1, 0};
    struct fo_module module;

    fo_openssl_put(&t, o);
    fo_put(&t, " has the memory functions of the program's own OpenSSL, from the engine ");
    if (fo_elf_module(caller, &module)) {
        const char *slash = strrchr(module.path, '/');
        fo_put(&t, slash != NULL ? slash + 1 : module.path);
    }
    line[t.used] = '\0';
    fo_journal_record_guard(FO_JOURNAL_UNPROTECTED, line);
    fo_put(&t, "; its blocks are not guarded");
    fo_say(&t);
    fo_engine_refuse();
}

int fo_engine_register(struct fo_openssl *o, const struct fo_host *functions, bool late,
                       uintptr_t caller)
{
    fo_malloc_function *guarded = fo_malloc, *sampled = fo_sample_malloc;

    if (functions->malloc == guarded ||
        functions->malloc == sampled) /* the program's OpenSSL is guarded, too: one memory */
        return 1;
    if (late)
        allow_mixing(functions);
    o->is_guarded = false;
    fo_memory_set_by_name(false);
    int answer = late ? !o->set_mem(allocate, move, release)
                      : o->set_mem(functions->malloc, functions->realloc, functions->free);
    report_engine(o, caller);
    return answer;
}
