/* See passed.h. */
#include "load/passed.h"

#include <errno.h>
#include <string.h>

#include "backend/region.h"
#include "core/hot.h"
#include "core/registry.h"
#include "load/openssl.h"
#include "report/output.h"

/* OpenSSL alone makes them, never the program or static data. */
static bool is_made_by_openssl(const char *type)
{
    return strcmp(type, "SSL") == 0 || strcmp(type, "SSL_CTX") == 0;
}

static bool is_here(uintptr_t p)
{
    const uint8_t *slot = fo_registry_slot(p);

    return fo_region_contains(p) ||
           (slot != NULL && __atomic_load_n(slot, __ATOMIC_ACQUIRE) != FO_SLOT_NONE);
}

static void tell(const void *p, const char *type, const char *function)
{
    char line[400];
    struct fo_text t = FO_TEXT(line);

    fo_put(&t, function);
    fo_put(&t, ": this process has no ");
    fo_put(&t, type);
    fo_put(&t, " at ");
    fo_put_hex(&t, (uintptr_t)p);
    fo_put(&t, "; did another process make it? OpenSSL's memory is private to each process here. "
               "Objects that are passed between processes need FREEONCE_BACKEND=shm; freeonce(7) "
               "names the servers that are tested with it");
    fo_say(&t);
}

void fo_passed_look(const void *p, const char *type, const char *function, unsigned major)
{
    static bool told;
    int saved_errno = errno;

    if (p != NULL && fo_hot.memory != NULL && !FO_RELAXED_LOAD(&told) &&
        !FO_RELAXED_LOAD(&fo_hot.shared) && is_made_by_openssl(type) &&
        fo_openssl_all_ours(major) && !is_here((uintptr_t)p) &&
        !__atomic_exchange_n(&told, true, __ATOMIC_RELAXED))
        tell(p, type, function);
    errno = saved_errno;
}
