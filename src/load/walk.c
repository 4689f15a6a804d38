/* freeonce_walk(): a check of the whole heap, for a program that looks it up with dlsym(3); see
 * heap/freeonce_walk.h. */
#include "block/walk.h"

FO_EXPORT freeonce_walk_function freeonce_walk;

static void add_lost(struct fo_walk *w)
{
    uint64_t lost = w->pages_lost + w->magazines_lost;

    if (lost != 0 && w->wrong == 0)
        w->what = w->pages_lost != 0 ? "pages are lost" : "magazines are lost";
    w->wrong += lost;
}

bool freeonce_walk(struct fo_walk *out)
{
    struct fo_walk before;

    if (!fo_blocks_walk(&before, NULL, NULL))
        return false;
    if (fo_layout.shared)
        fo_caches_reclaim();
    if (!fo_blocks_walk(out, NULL, NULL))
        return false;
    add_lost(out);
    if (before.wrong != 0) {
        out->wrong += before.wrong;
        out->what = before.what;
        out->where = before.where;
    }
    return true;
}
