/* See passed.h. */
#include "load/passed.h"

#include <errno.h>
#include <string.h>

#include "backend/guard.h"
#include "base/hot.h"
#include "base/say.h"
#include "block/registry.h"
#include "heap/region.h"
#include "load/library.h"
#include "load/openssl.h"

/* Only OpenSSL makes objects of these types: none is the program's memory or static data.  But
 * another library in front of OpenSSL may have memory of its own. */
static bool is_made_by_openssl(const char *type, unsigned major)
{
    return (strcmp(type, "SSL") == 0 || strcmp(type, "SSL_CTX") == 0 || strcmp(type, "BIO") == 0) &&
           fo_openssl_has_all_guarded(major) &&
           fo_library_wrapper(FO_PART_SSL, major, "SSL_new") == NULL &&
           fo_library_wrapper(FO_PART_SSL, major, "SSL_CTX_new") == NULL;
}

/* No header was ever written there. */
static bool is_blank(uintptr_t payload)
{
    const struct fo_header *h = fo_header_of(payload);

    /* Relaxed: the program has the object, so what made it is ordered. */
    return FO_RELAXED_LOAD(&h->site) == 0 && FO_RELAXED_LOAD(&h->word) == 0;
}

static bool is_in_region(uintptr_t p)
{
    struct fo_at at = fo_region_at(p);

    return at.payload == p && (at.state == FO_FOUND_LIVE || at.state == FO_FOUND_HELD ||
                               (at.state == FO_FOUND_DAMAGED && !is_blank(p)));
}

/* Live, being freed, or live until its header was damaged. */
static bool has_object(uintptr_t p)
{
    if (fo_region_contains(p))
        return is_in_region(p);
    const uint8_t *slot = fo_registry_slot(p);
    uint8_t state = slot != NULL ? __atomic_load_n(slot, __ATOMIC_ACQUIRE) : FO_SLOT_NONE;
    return state == FO_SLOT_LIVE || state == FO_SLOT_BUSY || state == FO_SLOT_DAMAGED ||
           fo_guard_contains(p);
}

static void report(const void *p, const char *type, const char *function)
{
    char line[400];
    struct fo_text t = FO_TEXT(line);

    fo_put(&t, function);
    fo_put(&t, ": this process has no ");
    fo_put(&t, type);
    fo_put(&t, " at ");
    fo_put_hex(&t, (uintptr_t)p);
    fo_put(&t, "; did another process make it, or was it freed? OpenSSL's memory is private to "
               "each process here. Objects that are passed between processes need "
               "FREEONCE_BACKEND=shm; freeonce(7) "
               "names the servers that are tested with it");
    fo_say(&t);
}

void fo_objects_check_passed(const void *p, const char *type, const char *function, unsigned major)
{
    static bool is_reported; /* relaxed: the exchange decides */
    int saved_errno = errno;

    if (p != NULL && fo_hot.memory != NULL && !FO_RELAXED_LOAD(&is_reported) &&
        !FO_RELAXED_LOAD(&fo_hot.shared) && !has_object((uintptr_t)p) &&
        is_made_by_openssl(type, major) &&
        !__atomic_exchange_n(&is_reported, true, __ATOMIC_RELAXED))
        report(p, type, function);
    errno = saved_errno;
}
