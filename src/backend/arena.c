/* Backend `arena` behind the interface of backends: it does not judge its blocks.  It is used so
 * where blocks are watched (canaries, patterns, stacks, guarded pages), which registry and
 * quarantine do for all backends alike.  Otherwise the hooks call the region directly:
 * heap/direct.c. */
#include <errno.h>

#include "backend/backend.h"
#include "heap/region.h"

static void *arena_alloc(size_t room, const char *file, int line)
{
    size_t size = room - sizeof(struct fo_header);
    bool borrows = fo_cache_enter();
    uintptr_t payload =
        size <= FO_REGION_SMALL ? fo_cache_take(fo_region_class_of(size)) : fo_large_take(size);

    (void)file;
    (void)line;
    if (borrows)
        fo_cache_leave();
    if (payload != 0)
        return (void *)(payload - sizeof(struct fo_header));
    errno = ENOMEM;
    return NULL;
}

static void arena_free(void *block, size_t room, const char *file, int line)
{
    size_t size = room - sizeof(struct fo_header);
    uintptr_t payload = (uintptr_t)block + sizeof(struct fo_header);
    bool borrows = fo_cache_enter();

    if (size <= FO_REGION_SMALL)
        fo_cache_put(fo_class_at(payload), &(struct fo_cell){payload, fo_site_pack(file, line), 0});
    else
        fo_large_release(payload);
    if (borrows)
        fo_cache_leave();
}

const struct freeonce_backend fo_arena_backend = {
    .abi = FREEONCE_BACKEND_ABI,
    .struct_size = sizeof(struct freeonce_backend),
    .name = "arena",
    .alloc = arena_alloc,
    .free = arena_free,
};
