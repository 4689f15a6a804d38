/* The processes of a journal: the parent of each, and the number of those that executed a program
 * without the library. */
#include "cli/model/journal_rows.h"

static void read_rows(struct fo_reading *r)
{
    for (size_t i = 0; i < FO_JOURNAL_PROCESSES; i++) {
        const struct fo_journal_process *p = &r->journal->processes[i];
        if (!fo_row_is_whole(r->model, &p->row, &p->started, sizeof *p - sizeof p->row))
            continue;
        struct fo_process_shown *out = &r->model->processes[r->model->process_count++];
        r->processes[i] = out;
        out->pid = p->pid;
        out->parent_pid = p->parent_pid;
        out->is_fork = p->is_fork != 0;
        out->name = fo_row_text(r->model, p->name, sizeof p->name);
        out->how = fo_row_text(r->model, p->how, sizeof p->how);
        out->started = p->started;
        out->guard = p->guard <= FO_JOURNAL_LEFT ? (int)p->guard : FO_JOURNAL_SEEN;
        out->signal = p->ended < 65 ? (int)p->ended : 0;
        out->look =
            p->ended >= FO_JOURNAL_LOOKED && p->ended < FO_JOURNAL_LOOKS ? (int)p->ended : 0;
        out->forked = fo_row_code(r, &p->forked);
    }
}

/* The process with the parent's pid that started last before the child.  Needed for a child that
 * executed a program: it does not know its parent's row. */
static const struct fo_process_shown *parent_of(const struct fo_reading *r,
                                                const struct fo_process_shown *child)
{
    const struct fo_process_shown *best = NULL;

    for (size_t i = 0; i < FO_JOURNAL_PROCESSES; i++) {
        const struct fo_process_shown *p = r->processes[i];
        if (p != NULL && p->pid == child->parent_pid && p != child &&
            p->started <= child->started && (best == NULL || p->started > best->started))
            best = p;
    }
    return best;
}

static void find_parents(struct fo_reading *r)
{
    for (size_t i = 0; i < FO_JOURNAL_PROCESSES; i++) {
        struct fo_process_shown *child = r->processes[i];
        uint32_t row;
        if (child == NULL)
            continue;
        if (fo_journal_refers(r->journal->processes[i].parent, FO_JOURNAL_PROCESSES, &row) &&
            r->processes[row] != NULL && r->processes[row]->pid == child->parent_pid)
            child->parent = r->processes[row];
        else
            child->parent = parent_of(r, child);
    }
}

/* Has the program that this process executed a row of its own?  Then it has the library, too. */
static bool has_newer_row(const struct fo_reading *r, const struct fo_process_shown *before)
{
    for (size_t i = 0; i < FO_JOURNAL_PROCESSES; i++) {
        const struct fo_process_shown *p = r->processes[i];
        if (p != NULL && p != before && p->pid == before->pid && !p->is_fork &&
            p->started >= before->started)
            return true;
    }
    return false;
}

static void count_left(struct fo_reading *r)
{
    for (size_t i = 0; i < FO_JOURNAL_PROCESSES; i++)
        if (r->processes[i] != NULL && r->processes[i]->guard == FO_JOURNAL_LEFT)
            r->model->left += !has_newer_row(r, r->processes[i]);
}

void fo_read_processes(struct fo_reading *r)
{
    read_rows(r);
    find_parents(r);
    count_left(r);
}
