/* Rows of processes.  They are used again, the oldest first, but for those that a finding names: a
 * server that forks for each connection would fill any table. */
#include <errno.h>
#include <string.h>

#include "core/memory.h"
#include "fork/process.h"
#include "report/journal.h"

/* This process, as it was entered.  A child finds what its parent wrote here. */
static struct {
    uint32_t process; /* its serial number */
    uint32_t pid, row;
    uint64_t started;
    enum fo_journal_guard guard;
    uint32_t leaving; /* a thread of it is in execve(2) */
} own;

static struct fo_journal_process *row_at(uint32_t row)
{
    return &fo_journal->processes[row - 1];
}

/* Is this row ours to write?  `from` is the state that it must have. */
static bool take(struct fo_journal_process *p, uint32_t from)
{
    return __atomic_compare_exchange_n(&p->row.state, &from, FO_JOURNAL_WRITING, false,
                                       __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static uint32_t new_row(void)
{
    for (int tries = 0; tries < 64; tries++) {
        uint64_t n = __atomic_fetch_add(&fo_journal->counters.processes, 1, __ATOMIC_RELAXED);
        uint32_t row = (uint32_t)(n % FO_JOURNAL_PROCESSES) + 1;
        if (take(row_at(row), n < FO_JOURNAL_PROCESSES ? FO_JOURNAL_FREE : FO_JOURNAL_WRITTEN))
            return row;
    }
    __atomic_add_fetch(&fo_journal->counters.dropped.processes, 1, __ATOMIC_RELAXED);
    return 0;
}

static void finish(struct fo_journal_process *p, enum fo_journal_state state)
{
    p->row.check = fo_journal_check(&p->started, sizeof *p - sizeof p->row);
    __atomic_store_n(&p->row.state, state, __ATOMIC_RELEASE);
}

static void copy(char *out, size_t size, const char *in)
{
    size_t n = strnlen(in, size - 1);

    memcpy(out, in, n);
    memset(out + n, 0, size - n);
}

static bool is_row_of(const struct fo_lineage *l)
{
    return l->journal != 0 && row_at(l->journal)->pid == l->pid &&
           row_at(l->journal)->started == l->started;
}

static uint32_t write_row(struct fo_lineage *l, uint32_t parent_row, uint32_t parent_pid)
{
    uint32_t row = new_row();
    if (row == 0)
        return 0;
    struct fo_journal_process *p = row_at(row);

    p->row.key = row;
    p->started = l->started;
    p->pid = l->pid;
    p->parent_pid = parent_pid;
    p->parent = parent_row;
    p->guard = own.guard;
    p->is_fork = l->parent != 0;
    p->forked = fo_journal_code(l->place);
    copy(p->name, sizeof p->name, l->name);
    copy(p->how, sizeof p->how, "");
    finish(p, FO_JOURNAL_WRITTEN);
    l->journal = row;
    return row;
}

void fo_journal_process(uint32_t index)
{
    if (fo_journal == NULL || index == 0)
        return;
    struct fo_lineage *l = &fo_hot.memory->processes[index];
    const struct fo_lineage *parent = &fo_hot.memory->processes[l->parent];

    if (own.process == fo_process_serial()) { /* the table of processes has moved */
        l->started = own.started;
        l->journal = own.row;
        return;
    }
    l->started = fo_journal_now();
    own.process = fo_process_serial();
    own.pid = l->pid;
    own.started = l->started;
    __atomic_store_n(&own.leaving, 0, __ATOMIC_RELAXED); /* a thread of the parent may be there */
    if (l->parent == 0) {
        own.row = write_row(l, 0, (uint32_t)getppid());
        return;
    }
    own.row = write_row(l, is_row_of(parent) ? parent->journal : 0, parent->pid);
    if (own.guard == FO_JOURNAL_GUARDED)
        __atomic_add_fetch(&fo_journal->counters.guarded, 1, __ATOMIC_RELAXED);
}

uint32_t fo_journal_keep_process(uint32_t index)
{
    if (index == 0 || index >= FO_PROCESSES)
        return 0;
    struct fo_lineage *l = &fo_hot.memory->processes[index];
    uint32_t parent_pid = fo_hot.memory->processes[l->parent].pid;

    for (int tries = 0; tries < 2; tries++) {
        if (is_row_of(l)) {
            uint32_t written = FO_JOURNAL_WRITTEN;
            __atomic_compare_exchange_n(&row_at(l->journal)->row.state, &written, FO_JOURNAL_KEPT,
                                        false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
            if ((written == FO_JOURNAL_WRITTEN || written == FO_JOURNAL_KEPT) && is_row_of(l))
                return l->journal;
        }
        if (write_row(l, 0, parent_pid) == 0)
            break;
    }
    return 0;
}

void fo_journal_how(enum fo_journal_guard guard, const char *how)
{
    if (fo_journal == NULL)
        return;
    own.guard = guard;
    uint64_t *counter = guard == FO_JOURNAL_UNPROTECTED ? &fo_journal->counters.unprotected
                        : guard == FO_JOURNAL_GUARDED   ? &fo_journal->counters.guarded
                                                        : NULL;
    if (counter != NULL)
        __atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
    if (fo_hot.memory == NULL || fo_hot.process == NULL)
        return;
    const struct fo_lineage *l = &fo_hot.memory->processes[fo_process_self()->index];
    if (!is_row_of(l))
        return;
    struct fo_journal_process *p = row_at(l->journal);
    enum fo_journal_state before = FO_RELAXED_LOAD(&p->row.state);
    if ((before != FO_JOURNAL_WRITTEN && before != FO_JOURNAL_KEPT) || !take(p, before))
        return;
    p->guard = guard;
    copy(p->how, sizeof p->how, how);
    finish(p, before);
}

/* The row of this process, if it still is that. */
static void set_guard(enum fo_journal_guard from, enum fo_journal_guard to)
{
    if (own.row == 0)
        return;
    struct fo_journal_process *p = row_at(own.row);
    enum fo_journal_state before = FO_RELAXED_LOAD(&p->row.state);
    if ((before != FO_JOURNAL_WRITTEN && before != FO_JOURNAL_KEPT) || !take(p, before))
        return;
    if (p->pid == own.pid && p->started == own.started && p->guard == from)
        p->guard = to;
    finish(p, before);
}

bool fo_journal_leave(void)
{
    if (fo_journal == NULL || own.guard != FO_JOURNAL_GUARDED || own.pid == 0 ||
        __atomic_load_n(&fo_hot.process->serial, __ATOMIC_RELAXED) != own.process ||
        (uint32_t)fo_getpid() != own.pid ||
        __atomic_exchange_n(&own.leaving, 1, __ATOMIC_ACQ_REL) != 0)
        return false;
    __atomic_sub_fetch(&fo_journal->counters.guarded, 1, __ATOMIC_RELAXED);
    set_guard(FO_JOURNAL_GUARDED, FO_JOURNAL_LEFT);
    return true;
}

void fo_journal_stay(void)
{
    int saved_errno = errno;

    __atomic_add_fetch(&fo_journal->counters.guarded, 1, __ATOMIC_RELAXED);
    set_guard(FO_JOURNAL_LEFT, FO_JOURNAL_GUARDED);
    __atomic_store_n(&own.leaving, 0, __ATOMIC_RELEASE);
    errno = saved_errno;
}
