/* OpenSSL's own entry points that we interpose, for callers of OpenSSL 3 and of OpenSSL 4: their
 * symbol versions tell them apart (exports.map), and each call goes on to the OpenSSL it means. */
#include <string.h>

#include "backend/backend.h"
#include "base/hot.h"
#include "heap/direct.h"
#include "load/engine_memory.h"
#include "load/entries.h"
#include "load/forward.h"
#include "load/library.h"
#include "load/openssl.h"
#include "options/options.h"
#include "shared/shared.h"

/* The versions are hidden (one @): a search without a version never finds us, so that programs
 * linked to another library with the same names are left alone. */
#define ENTRY(name, major)                                                                         \
    __asm__(".symver fo_" #name "_" #major "," #name "@OPENSSL_" #major ".0.0");                   \
    FO_EXPORT

/* Whose functions do they serve?  One program, one pool. */
static const struct fo_openssl *host_of;

static bool has_allocated(void)
{
    return fo_hot_is_chosen(__atomic_load_n(&fo_hot.alloc, __ATOMIC_ACQUIRE));
}

static bool is_default(const struct fo_openssl *o, const struct fo_host *h)
{
    return h->malloc == o->default_malloc && h->realloc == o->default_realloc &&
           h->free == o->default_free;
}

static bool same(const struct fo_host *a, const struct fo_host *b)
{
    return a->malloc == b->malloc && a->realloc == b->realloc && a->free == b->free;
}

static struct fo_host current(const struct fo_openssl *o)
{
    if (fo_host.malloc != NULL && host_of == o)
        return fo_host;
    return (struct fo_host){o->default_malloc, o->default_realloc, o->default_free};
}

/* What they free is libc's as it is: no pool, and nothing that must stay in charge.  Some count
 * what they are asked for (MariaDB's, at its start) and refuse our headers. */
static bool has_no_pool(const struct fo_host *h)
{
    return strcmp(fo_options.backend, "host") != 0 &&
           fo_is_forwarder((uintptr_t)h->realloc, "realloc") &&
           fo_is_forwarder((uintptr_t)h->free, "free");
}

/* What OpenSSL does with custom functions, as far as it can be kept: before the first allocation
 * the program's functions become the backend `host`, whole or not at all (a pool that allocates
 * but never frees is none); after it nothing changes any more.  A NULL leaves that one as it is.
 * Functions without a pool are answered as after the first allocation. */
static int adopt(struct fo_openssl *o, struct fo_host wanted, uintptr_t caller)
{
    struct fo_host now = current(o);

    wanted.malloc = wanted.malloc != NULL ? wanted.malloc : now.malloc;
    wanted.realloc = wanted.realloc != NULL ? wanted.realloc : now.realloc;
    wanted.free = wanted.free != NULL ? wanted.free : now.free;
    if (!same(&wanted, &now) && fo_engine_contains(caller))
        return fo_engine_registers(o, &wanted, has_allocated(), caller);
    if (has_allocated())
        return same(&wanted, &now);
    if (same(&wanted, &now))
        return 1;
    if (is_default(o, &wanted)) {
        fo_host = (struct fo_host){NULL, NULL, NULL};
        return 1;
    }
    if (wanted.malloc == o->default_malloc || wanted.realloc == o->default_realloc ||
        wanted.free == o->default_free || has_no_pool(&wanted))
        return 0;
    if (fo_host.malloc != NULL && host_of != o) { /* a second OpenSSL with a second pool */
        o->ours = o->set_mem(wanted.malloc, wanted.realloc, wanted.free) != 1;
        fo_memory_by_name_if(o->ours && fo_direct_by_name);
        return !o->ours;
    }
    if (!fo_shared_prepare())
        return 0;
    host_of = o;
    fo_host = wanted;
    return 1;
}

/* Programs know OpenSSL's own functions by the addresses of our entries (openssl_memory.c). */
static struct fo_host as_ours(const struct fo_openssl *o, struct fo_host h)
{
    if (*(void **)&h.malloc == fo_memory_entry(o, *(void *const *)&o->default_malloc))
        h.malloc = o->default_malloc;
    if (*(void **)&h.free == fo_memory_entry(o, *(void *const *)&o->default_free))
        h.free = o->default_free;
    return h;
}

static struct fo_host as_the_programs(const struct fo_openssl *o, struct fo_host h)
{
    if (h.malloc == o->default_malloc)
        *(void **)&h.malloc = fo_memory_entry(o, *(void *const *)&h.malloc);
    if (h.free == o->default_free)
        *(void **)&h.free = fo_memory_entry(o, *(void *const *)&h.free);
    return h;
}

static int set_mem(unsigned major, const struct fo_host *wanted, uintptr_t caller)
{
    struct fo_openssl *o = fo_openssl_chosen(major);

    if (o == NULL)
        return 0;
    return o->ours ? adopt(o, as_ours(o, *wanted), caller)
                   : o->set_mem(wanted->malloc, wanted->realloc, wanted->free);
}

static void get_mem(unsigned major, struct fo_host *out)
{
    const struct fo_openssl *o = fo_openssl_chosen(major);

    if (o != NULL && o->ours)
        *out = as_the_programs(o, current(o));
    else if (o != NULL && o->get_mem != NULL)
        o->get_mem(&out->malloc, &out->realloc, &out->free);
    if (o != NULL && fo_engine_is_hidden(*(void *const *)&out->malloc))
        *out = as_the_programs(o, current(o));
}

static void cleanup(unsigned major, uintptr_t caller)
{
    static struct fo_library_slot slot;
    const struct fo_openssl *o = fo_openssl_chosen(major);
    void (*function)(void);

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
        get_mem(major, &h);                                                                        \
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
