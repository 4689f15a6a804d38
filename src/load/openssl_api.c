/* Interposed functions of OpenSSL's memory interface, and OPENSSL_cleanup(), for callers of OpenSSL
 * 3 and of OpenSSL 4.  The symbol version shows which of the two is called (exports.map). */
#include <string.h>

#include "backend/backend.h"
#include "base/hot.h"
#include "heap/direct.h"
#include "load/engine_memory.h"
#include "load/entries.h"
#include "load/forward.h"
#include "load/library.h"
#include "load/named.h"
#include "load/openssl.h"
#include "options/options.h"
#include "shared/shared.h"

/* The versions are hidden (one @): a search without a version never finds these entries, so
 * programs linked to another library with the same names are not changed. */
#define ENTRY(name, major)                                                                         \
    __asm__(FO_NAMED("fo_" #name "_" #major, #name, #major ".0.0"));                               \
    FO_EXPORT

/* The OpenSSL whose program functions fo_host has: a program has one pool. */
static const struct fo_openssl *host_openssl;

static bool has_allocated(void)
{
    return fo_hot_is_chosen(__atomic_load_n(&fo_hot.alloc, __ATOMIC_ACQUIRE));
}

static bool is_default(const struct fo_openssl *o, const struct fo_host *h)
{
    return h->malloc == o->default_malloc && h->realloc == o->default_realloc &&
           h->free == o->default_free;
}

static bool is_same(const struct fo_host *a, const struct fo_host *b)
{
    return a->malloc == b->malloc && a->realloc == b->realloc && a->free == b->free;
}

static struct fo_host current(const struct fo_openssl *o)
{
    if (fo_host.malloc != NULL && host_openssl == o)
        return fo_host;
    return (struct fo_host){o->default_malloc, o->default_realloc, o->default_free};
}

/* They free libc's memory: they have no pool and no limit of their own that must be kept.  Some
 * count their calls at start (MariaDB's) and would fail with the library's headers. */
static bool has_no_pool(const struct fo_host *h)
{
    return strcmp(fo_options.backend, "host") != 0 &&
           fo_is_forwarder((uintptr_t)h->realloc, "realloc") &&
           fo_is_forwarder((uintptr_t)h->free, "free");
}

/* The program registers functions of its own.  As in OpenSSL, nothing changes after the first
 * allocation, and a NULL keeps the function of before.  Before it, the program's functions become
 * the backend `host`, if all three are its own (a pool that allocates but never frees is none).
 * Functions without a pool are refused, as after the first allocation. */
static int register_host(struct fo_openssl *o, struct fo_host wanted, uintptr_t caller)
{
    struct fo_host now = current(o);

    wanted.malloc = wanted.malloc != NULL ? wanted.malloc : now.malloc;
    wanted.realloc = wanted.realloc != NULL ? wanted.realloc : now.realloc;
    wanted.free = wanted.free != NULL ? wanted.free : now.free;
    if (!is_same(&wanted, &now) && fo_engine_contains(caller))
        return fo_engine_register(o, &wanted, has_allocated(), caller);
    if (has_allocated())
        return is_same(&wanted, &now);
    if (is_same(&wanted, &now))
        return 1;
    if (is_default(o, &wanted)) {
        fo_host = (struct fo_host){NULL, NULL, NULL};
        return 1;
    }
    if (wanted.malloc == o->default_malloc || wanted.realloc == o->default_realloc ||
        wanted.free == o->default_free || has_no_pool(&wanted))
        return 0;
    if (fo_host.malloc != NULL && host_openssl != o) { /* a second OpenSSL with a second pool */
        o->is_guarded = o->set_mem(wanted.malloc, wanted.realloc, wanted.free) != 1;
        fo_memory_set_by_name(o->is_guarded && fo_direct_by_name);
        return !o->is_guarded;
    }
    if (!fo_shared_prepare())
        return 0;
    host_openssl = o;
    fo_host = wanted;
    return 1;
}

/* Programs know OpenSSL's own functions by the addresses of the library's entries
 * (openssl_memory.c). */
static struct fo_host entries_to_real(const struct fo_openssl *o, struct fo_host h)
{
    if (*(void **)&h.malloc == fo_memory_entry(o, *(void *const *)&o->default_malloc))
        h.malloc = o->default_malloc;
    if (*(void **)&h.free == fo_memory_entry(o, *(void *const *)&o->default_free))
        h.free = o->default_free;
    return h;
}

static struct fo_host real_to_entries(const struct fo_openssl *o, struct fo_host h)
{
    if (h.malloc == o->default_malloc)
        *(void **)&h.malloc = fo_memory_entry(o, *(void *const *)&h.malloc);
    if (h.free == o->default_free)
        *(void **)&h.free = fo_memory_entry(o, *(void *const *)&h.free);
    return h;
}

static int set_mem(unsigned major, const struct fo_host *wanted, uintptr_t caller)
{
    int (*other)(fo_malloc_function *, fo_realloc_function *, fo_free_function *);

    *(void **)&other = fo_openssl_other(major, "CRYPTO_set_mem_functions", caller);
    if (other != NULL)
        return other(wanted->malloc, wanted->realloc, wanted->free);
    struct fo_openssl *o = fo_openssl_chosen(major);
    if (o == NULL)
        return 0;
    return o->is_guarded ? register_host(o, entries_to_real(o, *wanted), caller)
                         : o->set_mem(wanted->malloc, wanted->realloc, wanted->free);
}

static void get_mem(unsigned major, struct fo_host *out, uintptr_t caller)
{
    void (*other)(fo_malloc_function **, fo_realloc_function **, fo_free_function **);

    *(void **)&other = fo_openssl_other(major, "CRYPTO_get_mem_functions", caller);
    if (other != NULL) {
        other(&out->malloc, &out->realloc, &out->free);
        return;
    }
    const struct fo_openssl *o = fo_openssl_chosen(major);
    if (o != NULL && o->is_guarded)
        *out = real_to_entries(o, current(o));
    else if (o != NULL && o->get_mem != NULL)
        o->get_mem(&out->malloc, &out->realloc, &out->free);
    if (o != NULL && fo_engine_is_hidden(*(void *const *)&out->malloc))
        *out = real_to_entries(o, current(o));
}

static void cleanup(unsigned major, uintptr_t caller)
{
    static struct fo_library_slot slot;
    void (*function)(void);

    *(void **)&function = fo_openssl_other(major, "OPENSSL_cleanup", caller);
    if (function != NULL) {
        function();
        return;
    }
    const struct fo_openssl *o = fo_openssl_chosen(major);
    if (o == NULL || o->cleanup == NULL)
        return;
    *(void **)&function =
        fo_library_function_kept(&slot, FO_PART_CRYPTO, major, "OPENSSL_cleanup", caller);
    fo_openssl_cleanup(o, function != NULL ? function : o->cleanup);
}

#define DEFINE_ENTRIES(major)                                                                      \
    ENTRY(CRYPTO_set_mem_functions, major)                                                         \
    int fo_CRYPTO_set_mem_functions_##major(fo_malloc_function *m, fo_realloc_function *r,         \
                                            fo_free_function *f)                                   \
    {                                                                                              \
        return set_mem(major, &(struct fo_host){m, r, f}, (uintptr_t)__builtin_return_address(0)); \
    }                                                                                              \
    ENTRY(CRYPTO_get_mem_functions, major)                                                         \
    void fo_CRYPTO_get_mem_functions_##major(fo_malloc_function **m, fo_realloc_function **r,      \
                                             fo_free_function **f)                                 \
    {                                                                                              \
        struct fo_host h = {NULL, NULL, NULL};                                                     \
        get_mem(major, &h, (uintptr_t)__builtin_return_address(0));                                \
        if (m != NULL)                                                                             \
            *m = h.malloc;                                                                         \
        if (r != NULL)                                                                             \
            *r = h.realloc;                                                                        \
        if (f != NULL)                                                                             \
            *f = h.free;                                                                           \
    }                                                                                              \
    ENTRY(OPENSSL_cleanup, major) void fo_OPENSSL_cleanup_##major(void)                            \
    {                                                                                              \
        cleanup(major, (uintptr_t)__builtin_return_address(0));                                    \
    }

int fo_CRYPTO_set_mem_functions_3(fo_malloc_function *, fo_realloc_function *, fo_free_function *);
int fo_CRYPTO_set_mem_functions_4(fo_malloc_function *, fo_realloc_function *, fo_free_function *);
void fo_CRYPTO_get_mem_functions_3(fo_malloc_function **, fo_realloc_function **,
                                   fo_free_function **);
void fo_CRYPTO_get_mem_functions_4(fo_malloc_function **, fo_realloc_function **,
                                   fo_free_function **);
void fo_OPENSSL_cleanup_3(void);
void fo_OPENSSL_cleanup_4(void);

DEFINE_ENTRIES(3)
DEFINE_ENTRIES(4)

void *fo_entry_named(const char *name, unsigned major)
{
    static const struct {
        const char *name;
        void *entry[2];
    } entries[] = {
        {"CRYPTO_set_mem_functions",
         {fo_CRYPTO_set_mem_functions_3, fo_CRYPTO_set_mem_functions_4}},
        {"CRYPTO_get_mem_functions",
         {fo_CRYPTO_get_mem_functions_3, fo_CRYPTO_get_mem_functions_4}},
        {"OPENSSL_cleanup", {fo_OPENSSL_cleanup_3, fo_OPENSSL_cleanup_4}},
        {"EVP_RAND_CTX_new", {fo_EVP_RAND_CTX_new_3, fo_EVP_RAND_CTX_new_4}},
        {"SSL_new", {fo_SSL_new_3, fo_SSL_new_4}},
        {"SSL_CTX_new", {fo_SSL_CTX_new_3, fo_SSL_CTX_new_4}},
        {"SSL_CTX_new_ex", {fo_SSL_CTX_new_ex_3, fo_SSL_CTX_new_ex_4}},
    };

    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++)
        if ((major == 3 || major == 4) && strcmp(name, entries[i].name) == 0)
            return entries[i].entry[major - 3];
    return NULL;
}
