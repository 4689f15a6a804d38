/* Finding OpenSSLs and registering the library's functions: see openssl.h.  OpenSSL 3 differs from
 * LibreSSL, BoringSSL and OpenSSL 1.1 by functions that are new in 3.0: OPENSSL_version_major().  A
 * program with a static OpenSSL may not export it: there, the functions of ERR_raise(), which every
 * other part of OpenSSL calls. */
#include "load/openssl.h"

#include <dlfcn.h>
#include <string.h>

#include "backend/backend.h"
#include "base/elf.h"
#include "base/real.h"
#include "base/say.h"
#include "base/wrappers.h"
#include "block/hooks.h"
#include "block/sample.h"
#include "block/secure.h"
#include "load/changes.h"
#include "load/engine.h"
#include "load/entries.h"
#include "load/library.h"
#include "load/objects.h"
#include "load/older.h"
#include "load/reach.h"
#include "options/options.h"
#include "process/process.h"
#include "report/journal.h"
#include "shared/cures.h"
#include "shared/made.h"

enum { OPENSSLS_MAX = 8 };

static FO_BEGINNING(2) struct fo_openssl known[OPENSSLS_MAX];
static unsigned known_count;
static uint32_t adding;

static void put_version(struct fo_text *t, const struct fo_openssl *o)
{
    const char *version = o->version != NULL ? o->version(0) : "OpenSSL";
    int blanks = 0;

    for (; *version != '\0' && (blanks += *version == ' ') < 2; version++)
        fo_put_char(t, *version);
}

void fo_openssl_put(struct fo_text *t, const struct fo_openssl *o)
{
    put_version(t, o);
    fo_put(t, " (");
    fo_put(t, o->in_executable ? "in the executable" : o->how);
    fo_put_char(t, ')');
}

void fo_openssl_describe(struct fo_text *t)
{
    const char *word = "in front of ";

    for (unsigned i = 0; i < known_count; i++)
        if (known[i].is_guarded) {
            fo_put(t, word);
            fo_openssl_put(t, &known[i]);
            word = " and ";
        }
}

/* 0: no OpenSSL, or older than 3.0. */
static unsigned major_of(const struct fo_module *module)
{
    unsigned (*major)(void);

    *(void **)&major = fo_elf_function(module, "OPENSSL_version_major");
    if (major != NULL)
        return major();
    return fo_elf_function(module, "ERR_new") != NULL &&
                   fo_elf_function(module, "ERR_set_debug") != NULL &&
                   fo_elf_function(module, "ERR_set_error") != NULL
               ? 3
               : 0;
}

static bool resolve(struct fo_openssl *o, const struct fo_module *module)
{
    *(void **)&o->set_mem = fo_elf_function(module, "CRYPTO_set_mem_functions");
    if (o->set_mem == NULL)
        return false;
    *(void **)&o->get_mem = fo_elf_function(module, "CRYPTO_get_mem_functions");
    *(void **)&o->default_malloc = fo_elf_function(module, "CRYPTO_malloc");
    *(void **)&o->default_realloc = fo_elf_function(module, "CRYPTO_realloc");
    *(void **)&o->default_free = fo_elf_function(module, "CRYPTO_free");
    *(void **)&o->cleanup = fo_elf_function(module, "OPENSSL_cleanup");
    *(void **)&o->thread_stop = fo_elf_function(module, "OPENSSL_thread_stop");
    *(void **)&o->secure_heap = fo_elf_function(module, "CRYPTO_secure_malloc_initialized");
    *(void **)&o->version = fo_elf_function(module, "OpenSSL_version");
    *(void **)&o->set_thread = fo_elf_function(module, "BN_BLINDING_set_current_thread");
    *(void **)&o->read_lock = fo_elf_function(module, "CRYPTO_THREAD_read_lock");
    *(void **)&o->unlock = fo_elf_function(module, "CRYPTO_THREAD_unlock");
    return true;
}

static void report_too_late(const struct fo_openssl *o)
{
    char line[256];
    struct fo_text t = {line, sizeof line - 1, 0};

    fo_openssl_put(&t, o);
    fo_put(&t, " had allocated before freeonce could get in");
    line[t.used] = '\0';
    fo_journal_record_guard(FO_JOURNAL_UNPROTECTED, line);
    fo_put(&t, "; this process runs unprotected. Start it with LD_PRELOAD=libfreeonce.so");
    fo_say(&t);
    fo_engine_refuse();
}

/* Not for a static OpenSSL: its variables are among those of the program, which may be many. */
static void watch_secure_heap(const struct fo_openssl *o)
{
    struct fo_module module;

    if (!o->in_executable && fo_elf_module(o->start, &module))
        fo_secure_watch(&module);
}

static int set_hooks(const struct fo_openssl *o)
{
    return fo_options.sample != 0 ? o->set_mem(fo_sample_malloc, fo_sample_realloc, fo_free)
                                  : o->set_mem(fo_malloc, fo_realloc, fo_free);
}

static void register_functions(struct fo_openssl *o)
{
    if (!fo_engine_start())
        return;
    o->is_guarded = set_hooks(o) == 1;
    fo_memory_find_wrappers(o->major);
    fo_memory_set_by_name(fo_openssl_has_all_guarded(3) && fo_openssl_has_all_guarded(4));
    if (o->is_guarded)
        watch_secure_heap(o);
    if (!o->is_guarded)
        report_too_late(o);
    else if (FO_RELAXED_LOAD(&fo_hot.shared))
        fo_reach_check(o);
}

void fo_openssl_check_cures(void)
{
    unsigned n = __atomic_load_n(&known_count, __ATOMIC_ACQUIRE);

    for (unsigned i = 0; i < n; i++)
        if (known[i].is_guarded)
            fo_reach_check(&known[i]);
}

/* If the module with this code is an OpenSSL, add it to the table, once, and register with it. */
static void add(uintptr_t code, const char *how)
{
    struct fo_module module;
    if (!fo_elf_module(code, &module))
        return;
    for (unsigned i = 0; i < known_count; i++)
        if (known[i].start == module.start) {
            if (known[i].is_guarded) /* again: it may have been unloaded and loaded again */
                set_hooks(&known[i]);
            return;
        }
    unsigned major = major_of(&module);
    if (major < 3 || known_count == OPENSSLS_MAX || !fo_try_exclusive(&adding))
        return;
    struct fo_openssl *o = &known[known_count];
    *o = (struct fo_openssl){
        .major = major,
        .start = module.start,
        .end = module.end,
        .in_executable = module.executable,
        .how = how,
    };
    if (resolve(o, &module)) {
        __atomic_store_n(&known_count, known_count + 1, __ATOMIC_RELEASE);
        fo_libraries_check();
        register_functions(o);
    }
    __atomic_store_n(&adding, 0, __ATOMIC_RELEASE);
}

static void check_older(void)
{
    if (known_count == 0 && (fo_options.require || fo_journal_is_kept()))
        fo_older_check();
}

void fo_openssl_check_neighbours(const char *how)
{
    void *found[OPENSSLS_MAX];
    unsigned n = fo_elf_search("CRYPTO_set_mem_functions", found, OPENSSLS_MAX);

    for (unsigned i = 0; i < n; i++)
        add((uintptr_t)found[i], how);
    check_older();
}

void fo_openssl_found_at(uintptr_t code)
{
    if (!FO_LIBC_HAS_VERSIONS) /* it may be another library's */
        fo_libraries_check();
    add(code, "loaded by dlopen");
    check_older();
}

static bool is_object(const char *name)
{
    return fo_object_named(FO_PART_CRYPTO, name) >= 0 || fo_object_named(FO_PART_SSL, name) >= 0;
}

void fo_openssl_check_name(const char *name)
{
    static const char *const prefixes[] = {"SSL_",    "OPENSSL_", "OpenSSL_",
                                           "CRYPTO_", "EVP_",     "TLS_"};

    if (is_object(name)) {
        fo_openssl_check_neighbours("found by dlsym");
        return;
    }
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0) {
            fo_openssl_check_neighbours("found by dlsym");
            return;
        }
}

/* If another library stands in front of OpenSSL, the entry would call that library, which this
 * caller did not ask for, and which may be the caller. */
static void *unless_wrapped(void *entry, const char *name, unsigned major, uintptr_t real)
{
    return entry != NULL && fo_wrapper(name, major, real) == NULL ? entry : NULL;
}

/* The major version is that of the library with the address: libssl is not in `known`. */
static void *entry_of_change(const char *name, void *handle, const char *version)
{
    if (fo_change_entry(name, 3) == NULL && fo_change_entry(name, 4) == NULL)
        return NULL;
    uintptr_t real = (uintptr_t)fo_real_dlvsym(handle, name, version);
    unsigned major = fo_libraries_major(real);
    return unless_wrapped(fo_change_entry(name, major), name, major, real);
}

/* RTLD_DEFAULT searches the scope of the caller (RTLD_LOCAL, RTLD_DEEPBIND), which is not known
 * here: only a name that one module alone defines is the same for all callers. */
static void *entry_of_object(const char *name, void *handle, const char *version)
{
    if (!is_object(name) || (handle == RTLD_DEFAULT && !fo_elf_is_defined_once(name)))
        return NULL;
    fo_libraries_check();
    return fo_object_dlsym_entry(name, fo_real_dlvsym(handle, name, version));
}

/* The entries choose the library by their caller.  If there are several, dlsym's handle is more
 * exact: then the real function is returned. */
static void *entry_of_secure(const char *name, void *handle, const char *version)
{
    if (fo_secure_entry(name, 3) == NULL ||
        (handle == RTLD_DEFAULT && !fo_elf_is_defined_once(name)))
        return NULL;
    const void *real = fo_real_dlvsym(handle, name, version);
    unsigned major = real != NULL ? fo_library_defines(FO_PART_CRYPTO, name, real) : 0;
    return (major == 3 || major == 4) && fo_openssl_has_all_guarded(major) &&
                   fo_library_is_always_chosen(FO_PART_CRYPTO, major, name, real)
               ? fo_secure_entry(name, major)
               : NULL;
}

void *fo_openssl_entry(const char *name, void *handle, const char *version)
{
    if (FO_RELAXED_LOAD(&fo_made_watched)) { /* relaxed, as in changes.c */
        void *change = entry_of_change(name, handle, version);
        if (change != NULL)
            return change;
    }
    void *object = entry_of_object(name, handle, version);
    if (object == NULL)
        object = entry_of_secure(name, handle, version);
    if (object != NULL)
        return object;
    if (fo_entry_named(name, 3) == NULL)
        return NULL;
    uintptr_t real = (uintptr_t)fo_real_dlvsym(handle, name, version);
    for (unsigned i = 0; i < known_count; i++)
        if (known[i].is_guarded && !known[i].in_executable && real >= known[i].start &&
            real < known[i].end)
            return unless_wrapped(fo_entry_named(name, known[i].major), name, known[i].major, real);
    return NULL;
}

/* A shared OpenSSL goes before a static one in the executable: calls of the static one are bound to
 * the executable itself, which is first in the search. */
static struct fo_openssl *known_of(unsigned major)
{
    struct fo_openssl *in_executable = NULL;

    for (unsigned i = 0; i < known_count; i++)
        if (fo_library_can_be_meant(major, known[i].major) && !known[i].in_executable)
            return &known[i];
        else if (fo_library_can_be_meant(major, known[i].major) && in_executable == NULL)
            in_executable = &known[i];
    return in_executable;
}

struct fo_openssl *fo_openssl_chosen(unsigned major)
{
    /* A libcrypto that does not call getenv (built without assembler) is found only now. */
    if (known_of(major) == NULL)
        fo_openssl_check_neighbours("found by its caller");
    return known_of(major);
}

bool fo_openssl_has_all_guarded(unsigned major)
{
    unsigned n = __atomic_load_n(&known_count, __ATOMIC_ACQUIRE);

    for (unsigned i = 0; i < n; i++)
        if (fo_library_can_be_meant(major, known[i].major) && !known[i].is_guarded)
            return false;
    return FO_LIBC_HAS_VERSIONS || !fo_libraries_have_other;
}

const struct fo_openssl *fo_openssl_of(uintptr_t code)
{
    unsigned n = __atomic_load_n(&known_count, __ATOMIC_ACQUIRE);

    for (unsigned i = 0; i < n; i++)
        if (code >= known[i].start && code < known[i].end && !known[i].in_executable)
            return &known[i];
    return NULL;
}

struct fo_openssl *fo_openssl_with_cleanup(const void *function)
{
    unsigned n = __atomic_load_n(&known_count, __ATOMIC_ACQUIRE);

    for (unsigned i = 0; i < n; i++)
        if (known[i].cleanup != NULL && *(void *const *)&known[i].cleanup == function)
            return &known[i];
    return NULL;
}

bool fo_openssl_thread_stop(void)
{
    bool all = true;

    for (unsigned i = 0; i < known_count; i++)
        if (known[i].is_guarded && known[i].thread_stop != NULL)
            known[i].thread_stop();
        else if (known[i].is_guarded)
            all = false;
    return all;
}

void fo_openssl_cleanup(const struct fo_openssl *o, void (*function)(void))
{
    if (fo_cure_can_clean_up()) {
        fo_thread.cleans_up = true;
        function();
        fo_thread.cleans_up = false;
    } else if (o->is_guarded && o->thread_stop != NULL && fo_cure_state_is_own()) {
        o->thread_stop();
    }
}
