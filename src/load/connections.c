/* SSL_new() and SSL_CTX_new(): in shared memory they are noted for shared/connections.h and
 * objects_kept.h.  And the functions of connections.h. */
#include "load/connections.h"

#include <errno.h>

#include "base/hot.h"
#include "base/raw.h"
#include "heap/hot.h"
#include "load/entries.h"
#include "load/library.h"
#include "load/named.h"
#include "load/objects.h"
#include "load/objects_kept.h"
#include "load/passed.h"
#include "load/uses.h"
#include "process/process.h"
#include "shared/connections.h"

/* SSL_new() counts a reference to its context: SSL_CTX_up_ref() reports one that is freed.  A
 * libssl that is linked with -Bsymbolic, as upstream's is and Debian's of OpenSSL 4, calls its own.
 */
static FO_COLD void *make_of_freed(void *(*real)(void *), void *context, uintptr_t caller)
{
    uint32_t refused = fo_objects_count_refused();
    void *connection = real(context);

    if (fo_objects_count_refused() == refused)
        fo_use_report(context, "SSL_CTX", "SSL_new", caller);
    return connection;
}

static void *make_connection(unsigned major, void *context, uintptr_t caller)
{
    static struct fo_library_slot slot;
    void *(*real)(void *);

    *(void **)&real = fo_library_function_kept(&slot, FO_PART_SSL, major, "SSL_new", caller);
    if (fo_unlikely(!fo_direct_contains(fo_direct_of(fo_hot.process), (uintptr_t)context)))
        fo_objects_check_passed(context, "SSL_CTX", "SSL_new", major);
    void *connection =
        real == NULL ? NULL
        : fo_unlikely(fo_hot.fill || fo_use_is_of_freed(context)) && fo_use_can_be_of_freed(context)
            ? make_of_freed(real, context, caller)
            : real(context);
    if (connection != NULL && FO_RELAXED_LOAD(&fo_hot.keeps_ancestors)) {
        fo_connection_made((uintptr_t)connection);
        fo_objects_kept_count_made();
    }
    return connection;
}

static void *make_context(struct fo_library_slot *slot, const char *name, unsigned major,
                          void *const arguments[3], uintptr_t caller)
{
    void *(*real)(void *, void *, void *);

    *(void **)&real = fo_library_function_kept(slot, FO_PART_SSL, major, name, caller);
    void *context = real != NULL ? real(arguments[0], arguments[1], arguments[2]) : NULL;
    if (context != NULL && FO_RELAXED_LOAD(&fo_hot.keeps_ancestors))
        fo_objects_kept_count_made();
    return context;
}

static struct fo_library_slot context_new, context_new_ex;

#define DEFINE_ENTRY(major)                                                                        \
    __asm__(FO_NAMED("fo_SSL_new_" #major, "SSL_new", #major ".0.0"));                             \
    FO_EXPORT void *fo_SSL_new_##major(void *context)                                              \
    {                                                                                              \
        return make_connection(major, context, (uintptr_t)__builtin_return_address(0));            \
    }                                                                                              \
    __asm__(FO_NAMED("fo_SSL_CTX_new_" #major, "SSL_CTX_new", #major ".0.0"));                     \
    FO_EXPORT void *fo_SSL_CTX_new_##major(void *method)                                           \
    {                                                                                              \
        return make_context(&context_new, "SSL_CTX_new", major, (void *const[3]){method},          \
                            (uintptr_t)__builtin_return_address(0));                               \
    }                                                                                              \
    __asm__(FO_NAMED("fo_SSL_CTX_new_ex_" #major, "SSL_CTX_new_ex", #major ".0.0"));               \
    FO_EXPORT void *fo_SSL_CTX_new_ex_##major(void *context, void *properties, void *method)       \
    {                                                                                              \
        return make_context(&context_new_ex, "SSL_CTX_new_ex", major,                              \
                            (void *const[3]){context, properties, method},                         \
                            (uintptr_t)__builtin_return_address(0));                               \
    }

DEFINE_ENTRY(3)
DEFINE_ENTRY(4)

/* --- descriptors ---------------------------------------------------------------------------------
 */

/* From <openssl/bio.h>; they are the same in all versions. */
enum { TYPE_DESCRIPTOR = 0x0100, CTRL_GET_CLOSE = 8, CTRL_SET_CLOSE = 9, C_GET_FD = 105 };

struct bio_functions {
    void *(*get)(const void *connection); /* SSL_get_rbio, SSL_get_wbio */
    void *(*find_type)(void *bio, int type);
    long (*ctrl)(void *bio, int command, long number, void *argument);
};

static bool find_functions(struct bio_functions *f, const char *get, unsigned major,
                           uintptr_t caller)
{
    *(void **)&f->get = fo_library_own_function(FO_PART_SSL, major, get, caller);
    *(void **)&f->find_type =
        fo_library_own_function(FO_PART_CRYPTO, major, "BIO_find_type", caller);
    *(void **)&f->ctrl = fo_library_own_function(FO_PART_CRYPTO, major, "BIO_ctrl", caller);
    return f->get != NULL && f->find_type != NULL && f->ctrl != NULL;
}

/* The BIO in this direction that would close its descriptor; NULL: none. */
static void *closing_bio(const struct bio_functions *f, const void *connection)
{
    void *bio = f->get(connection);

    bio = bio != NULL ? f->find_type(bio, TYPE_DESCRIPTOR) : NULL;
    return bio != NULL && f->ctrl(bio, CTRL_GET_CLOSE, 0, NULL) != 0 ? bio : NULL;
}

static const char *const directions[] = {"SSL_get_rbio", "SSL_get_wbio"};

void fo_connection_close(void *p, unsigned major, uintptr_t caller)
{
    int saved_errno = errno;
    long closed = -1;

    for (unsigned i = 0; i < 2; i++) {
        struct bio_functions f;
        void *bio = find_functions(&f, directions[i], major, caller) ? closing_bio(&f, p) : NULL;
        long descriptor = bio != NULL ? f.ctrl(bio, C_GET_FD, 0, NULL) : -1;
        if (descriptor >= 0 && descriptor != closed)
            fo_raw_close((int)descriptor);
        closed = descriptor;
    }
    errno = saved_errno;
}

void fo_connection_keep_descriptors(void *p, unsigned major, uintptr_t caller)
{
    for (unsigned i = 0; i < 2; i++) {
        struct bio_functions f;
        void *bio = find_functions(&f, directions[i], major, caller) ? closing_bio(&f, p) : NULL;
        if (bio != NULL)
            f.ctrl(bio, CTRL_SET_CLOSE, 0, NULL);
    }
}
