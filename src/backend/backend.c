/* The backends by number, and the functions common to all of them: see backend.h.  load/choose.c
 * chooses the one of a process. */
#include "backend/backend.h"

#include <string.h>

#include "backend/guard.h"
#include "base/libc_memory.h"
#include "base/nearest.h"
#include "base/say.h"
#include "heap/region.h"

const struct freeonce_backend *fo_backends[FO_BACKEND_COUNT] = {
    [FO_BACKEND_LIBC] = &fo_libc_backend,
    [FO_BACKEND_HOST] = &fo_host_backend,
    [FO_BACKEND_GUARD] = &fo_guard_backend,
    [FO_BACKEND_ARENA] = &fo_arena_backend,
};

void fo_backend_free(uintptr_t payload, uint64_t word, fo_site freed)
{
    void *base = fo_block_base(payload, word);
    unsigned id = fo_word_backend(word);

    if (fo_likely(id == FO_BACKEND_LIBC)) {
        fo_libc_memory.free(base);
        return;
    }
    fo_backends[id]->free(base, fo_room(fo_word_size(word)), fo_site_file(freed),
                          fo_site_line(freed));
}

bool fo_backend_is_known(const char *text)
{
    static const char names[] = "auto|host|arena|shm|libc|guard";
    char nearest[32];

    if (strchr(text, '/') != NULL || strcmp(text, "auto") == 0 || strcmp(text, "host") == 0 ||
        strcmp(text, "libc") == 0 || strcmp(text, "guard") == 0 || strcmp(text, "arena") == 0 ||
        strcmp(text, "shm") == 0)
        return true;
    bool near = fo_nearest_choice(text, names, nearest, sizeof nearest);
    fo_say_words("there is no backend \"", text, "\", running on auto; ",
                 near ? "did you mean FREEONCE_BACKEND="
                      : "FREEONCE_BACKEND is auto, host, arena, shm, libc, guard or ",
                 near ? nearest : "the path of a plug-in", near ? "?" : "", NULL);
    return false;
}

void fo_backend_lock(void)
{
    if (fo_region != NULL)
        fo_region_lock();
    if (FO_RELAXED_LOAD(&fo_hot.guard)) /* hot.h */
        fo_guard_lock();
}
