/* See rows.h. */
#include "process/rows.h"

#include "base/hot.h"
#include "process/life.h"

static const struct fo_lineage *row_at(uint32_t row)
{
    return &fo_hot.tree->processes[row < FO_PROCESSES ? row : 0];
}

uint32_t fo_row_pid(uint32_t row)
{
    return fo_shared_number(&row_at(row)->pid);
}

uint32_t fo_row_parent(uint32_t row)
{
    return fo_shared_index(&row_at(row)->parent, FO_PROCESSES);
}

uintptr_t fo_row_place(uint32_t row)
{
    return fo_shared_number(&row_at(row)->place);
}

void fo_row_put_name(struct fo_text *t, uint32_t row)
{
    struct fo_shared_name name = row_at(row)->name;

    fo_put_clean(t, name.raw, sizeof name.raw);
}

static uint64_t ancestors[FO_PROCESSES / 64]; /* ordinary memory, which a child inherits */
static __thread uint32_t reserved;            /* for the child that this thread forks; 0: none */

bool fo_row_is_ancestor(uint32_t row)
{
    return row < FO_PROCESSES && (ancestors[row / 64] >> row % 64 & 1) != 0;
}

void fo_row_descend(uint32_t parent)
{
    ancestors[parent / 64] |= UINT64_C(1) << parent % 64; /* row 0 is never looked up */
}

/* A row with children is not used again: their rows name it as the parent. */
static bool has_children(const struct fo_tree *tree, uint32_t row)
{
    for (uint32_t i = 1; i < FO_PROCESSES; i++)
        if (fo_shared_number(&tree->processes[i].parent) == row)
            return true;
    return false;
}

static bool claim(struct fo_tree *tree, uint32_t row)
{
    uint32_t pid = fo_shared_number(&tree->processes[row].pid);

    if (pid == 0 || fo_life_is_running(tree, row) || fo_row_is_ancestor(row) ||
        has_children(tree, row) || !fo_shared_replace(&tree->processes[row].pid, &pid, 0))
        return false;
    fo_life_clear(tree, row);
    return true;
}

static uint32_t claim_any(struct fo_tree *tree)
{
    static uint32_t last; /* where to look first; relaxed: claim() decides */
    uint32_t first = FO_RELAXED_LOAD(&last);

    for (uint32_t i = 1; i < FO_PROCESSES; i++) {
        uint32_t row = (first + i) % (FO_PROCESSES - 1) + 1;
        if (claim(tree, row)) {
            FO_RELAXED_STORE(&last, row);
            return row;
        }
    }
    return 0;
}

uint32_t fo_row_forks(void)
{
    return fo_shared_number(&fo_hot.tree->forks);
}

static void record_fork(struct fo_tree *tree, uint32_t row)
{
    fo_shared_set(&tree->processes[row].born, fo_shared_add(&tree->forks, 1) + 1);
}

static uint32_t count_process(struct fo_tree *tree)
{
    return fo_shared_add(&tree->processes_used, 1);
}

void fo_rows_before_fork(struct fo_tree *tree, uint32_t parent)
{
    if (!fo_hot.shared)
        return;
    bool full = fo_shared_number(&tree->processes_used) >= FO_PROCESSES;
    uint32_t row = full ? claim_any(tree) : count_process(tree);
    reserved = row < FO_PROCESSES ? row : 0;
    if (reserved == 0)
        return;
    fo_shared_set(&tree->processes[reserved].parent, parent);
    record_fork(tree, reserved);
}

void fo_rows_after_fork(struct fo_tree *tree, pid_t child)
{
    uint32_t no_pid = 0, pid = child > 0 ? (uint32_t)child : FO_PID_NONE;

    if (reserved != 0) { /* unless the child was faster */
        fo_life_seen(tree, reserved, child);
        fo_shared_replace(&tree->processes[reserved].pid, &no_pid, pid);
    }
    reserved = 0;
}

static uint32_t count_unknown(struct fo_tree *tree)
{
    fo_shared_add(&tree->processes_unknown, 1);
    return 0;
}

uint32_t fo_row_new(struct fo_tree *tree)
{
    uint32_t row = reserved;

    reserved = 0;
    if (row != 0)
        return row;
    uint32_t n = count_process(tree);
    if (n < FO_PROCESSES) {
        record_fork(tree, n);
        return n;
    }
    if (fo_hot.shared)
        return count_unknown(tree);
    for (uint32_t i = 0; i < FO_PROCESSES; i++) {
        row = (n + i) % (FO_PROCESSES - 1) + 1;
        if (!fo_row_is_ancestor(row))
            return row;
    }
    return 0;
}
