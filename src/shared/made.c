/* See made.h.  Called by load/changes.c. */
#include "shared/made.h"

#include "base/hot.h"
#include "heap/region.h"
#include "options/options.h"
#include "process/life.h"
#include "process/process.h"
#include "process/rows.h"
#include "process/tree.h"
#include "shared/inherited.h"

bool fo_made_watched;

void fo_made_begin(void)
{
    bool shared = fo_region != NULL && fo_layout.shared;

    __atomic_store_n(&fo_made_watched, shared && fo_options.shm_changes != FO_SHM_CHANGES_ALLOW,
                     __ATOMIC_RELEASE);
}

static bool descends_from(uint32_t row, uint32_t ancestor)
{
    for (unsigned depth = 0; row != 0 && depth < FO_PROCESSES; depth++) {
        if (row == ancestor)
            return true;
        row = fo_row_parent(row);
    }
    return false;
}

/* Do all processes that live descend from this one? */
static bool is_ancestor_of_all(const struct fo_tree *tree, uint32_t self)
{
    uint32_t rows = fo_shared_number(&tree->processes_used);

    if (self == 0 || fo_shared_number(&tree->processes_unknown) != 0)
        return false;
    for (uint32_t i = 1; i < rows && i < FO_PROCESSES; i++)
        if (!descends_from(i, self) && fo_life_is_running(tree, i))
            return false;
    return true;
}

bool fo_made_elsewhere(uintptr_t p)
{
    const struct fo_tree *tree = fo_hot.tree;
    uint32_t self = fo_process_self()->index;

    if (!fo_region_contains(p))
        return false;
    uint32_t maker = fo_inherited_maker(p);
    if (maker == 0 || maker == self)
        return false;
    return fo_life_is_running(tree, maker) || !is_ancestor_of_all(tree, self);
}
