/* Rows of processes; counters are relaxed, and a row's state decides by an exchange.  The oldest
 * are used again first, except those that a finding names: a server that forks for each connection
 * would fill any table. */
#include <errno.h>
#include <string.h>

#include "process/process.h"
#include "process/rows.h"
#include "process/tree.h"
#include "report/how.h"
#include "report/journal.h"

/* This process, as its row was written.  A child inherits what its parent wrote here. */
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

/* Claim this row for writing.  `from` is the state that it must have. */
static bool claim(struct fo_journal_process *p, uint32_t from)
{
    return __atomic_compare_exchange_n(&p->row.state, &from, FO_JOURNAL_WRITING, false,
                                       __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static uint32_t new_row(void)
{
    for (int tries = 0; tries < 64; tries++) {
        uint64_t n = __atomic_fetch_add(&fo_journal->counters.processes, 1, __ATOMIC_RELAXED);
        uint32_t row = (uint32_t)(n % FO_JOURNAL_PROCESSES) + 1;
        if (claim(row_at(row), n < FO_JOURNAL_PROCESSES ? FO_JOURNAL_FREE : FO_JOURNAL_WRITTEN))
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

/* The row that the table of processes names; 0: none. */
static uint32_t row_in(const struct fo_lineage *l)
{
    return fo_shared_index(&l->journal, FO_JOURNAL_PROCESSES + 1);
}

static void copy(char *out, size_t size, const char *in)
{
    size_t n = strnlen(in, size - 1);

    memcpy(out, in, n);
    memset(out + n, 0, size - n);
}

static bool is_row_of(uint32_t row, const struct fo_lineage *l)
{
    return row != 0 && row_at(row)->pid == fo_shared_number(&l->pid) &&
           row_at(row)->started == fo_shared_number(&l->started);
}

/* Write a row for process `index`. */
static uint32_t write_row(uint32_t index, uint32_t parent_row, uint32_t parent_pid)
{
    struct fo_lineage *l = &fo_hot.tree->processes[index];
    uint32_t row = new_row();
    if (row == 0)
        return 0;
    struct fo_journal_process *p = row_at(row);
    char name[sizeof p->name] = "";
    struct fo_text t = {name, sizeof name - 1, 0};

    p->row.key = row;
    p->started = fo_shared_number(&l->started);
    p->pid = fo_row_pid(index);
    p->parent_pid = parent_pid;
    p->parent.raw = parent_row;
    p->guard = own.guard;
    p->is_fork = fo_row_parent(index) != 0;
    p->ended = 0;
    p->forked = fo_journal_code(fo_row_place(index));
    fo_row_put_name(&t, index);
    copy(p->name, sizeof p->name, name);
    copy(p->how, sizeof p->how, "");
    finish(p, FO_JOURNAL_WRITTEN);
    fo_shared_set(&l->journal, row);
    return row;
}

void fo_journal_write_process(uint32_t index)
{
    if (index == 0 || !fo_journal_is_usable())
        return;
    struct fo_lineage *l = &fo_hot.tree->processes[index];

    if (own.process == fo_process_serial()) { /* fo_hot.tree is a new table */
        fo_shared_set(&l->started, own.started);
        fo_shared_set(&l->journal, own.row);
        return;
    }
    own.process = fo_process_serial();
    own.pid = fo_row_pid(index);
    own.started = fo_journal_now();
    fo_shared_set(&l->started, own.started);
    __atomic_store_n(&own.leaving, 0, __ATOMIC_RELAXED); /* maybe set by a thread of the parent */
    uint32_t parent = fo_row_parent(index);
    if (parent == 0) {
        own.row = write_row(index, 0, (uint32_t)getppid());
        return;
    }
    uint32_t row = row_in(&fo_hot.tree->processes[parent]);
    bool known = is_row_of(row, &fo_hot.tree->processes[parent]);
    own.row = write_row(index, known ? row : 0, fo_row_pid(parent));
    if (own.guard == FO_JOURNAL_GUARDED)
        __atomic_add_fetch(&fo_journal->counters.guarded, 1, __ATOMIC_RELAXED);
}

uint32_t fo_journal_keep_process(uint32_t index)
{
    if (index == 0 || index >= FO_PROCESSES)
        return 0;
    const struct fo_lineage *l = &fo_hot.tree->processes[index];

    for (int tries = 0; tries < 2; tries++) {
        uint32_t row = row_in(l);
        if (is_row_of(row, l)) {
            uint32_t written = FO_JOURNAL_WRITTEN;
            __atomic_compare_exchange_n(&row_at(row)->row.state, &written, FO_JOURNAL_KEPT, false,
                                        __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
            if ((written == FO_JOURNAL_WRITTEN || written == FO_JOURNAL_KEPT) && is_row_of(row, l))
                return row;
        }
        if (write_row(index, 0, fo_row_pid(fo_row_parent(index))) == 0)
            break;
    }
    return 0;
}

void fo_journal_record_guard(enum fo_journal_guard guard, const char *how)
{
    fo_how_keep(guard, how);
    if (!fo_journal_is_usable())
        return;
    own.guard = guard;
    uint64_t *counter = guard == FO_JOURNAL_UNPROTECTED ? &fo_journal->counters.unprotected
                        : guard == FO_JOURNAL_GUARDED   ? &fo_journal->counters.guarded
                                                        : NULL;
    if (counter != NULL)
        __atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
    if (fo_hot.tree == NULL || fo_hot.process == NULL)
        return;
    const struct fo_lineage *l = &fo_hot.tree->processes[fo_process_self()->index];
    uint32_t row = row_in(l);
    if (!is_row_of(row, l))
        return;
    struct fo_journal_process *p = row_at(row);
    enum fo_journal_state before = FO_RELAXED_LOAD(&p->row.state);
    if ((before != FO_JOURNAL_WRITTEN && before != FO_JOURNAL_KEPT) || !claim(p, before))
        return;
    char clean[sizeof p->how] = "";
    struct fo_text t = {clean, sizeof clean - 1, 0};
    fo_put_clean(&t, how, sizeof clean - 1);
    p->guard = guard;
    copy(p->how, sizeof p->how, clean);
    finish(p, before);
}

void fo_journal_count_older(void)
{
    if (fo_journal_is_usable())
        __atomic_add_fetch(&fo_journal->counters.older, 1, __ATOMIC_RELAXED);
}

/* Claim the row of this process for a change; *before gets its state.  NULL: the row belongs to
 * another process by now, or another thread changes it. */
static struct fo_journal_process *claim_own(enum fo_journal_state *before)
{
    if (own.row == 0)
        return NULL;
    struct fo_journal_process *p = row_at(own.row);
    *before = FO_RELAXED_LOAD(&p->row.state);
    if ((*before != FO_JOURNAL_WRITTEN && *before != FO_JOURNAL_KEPT) || !claim(p, *before))
        return NULL;
    if (p->pid == own.pid && p->started == own.started)
        return p;
    finish(p, *before);
    return NULL;
}

static void set_guard(enum fo_journal_guard from, enum fo_journal_guard to)
{
    enum fo_journal_state before;
    struct fo_journal_process *p = claim_own(&before);

    if (p == NULL)
        return;
    if (p->guard == from)
        p->guard = to;
    finish(p, before);
}

static void set_ended(uint32_t how)
{
    enum fo_journal_state before;

    if (!fo_journal_is_usable())
        return;
    struct fo_journal_process *p = claim_own(&before);
    if (p == NULL)
        return;
    p->ended = how;
    finish(p, before);
}

void fo_journal_record_signal(int number)
{
    set_ended((uint32_t)number);
}

void fo_journal_record_look(enum fo_journal_look look)
{
    set_ended(look);
}

bool fo_journal_begin_exec(void)
{
    if (own.guard != FO_JOURNAL_GUARDED || own.pid == 0 ||
        __atomic_load_n(&fo_hot.process->serial, __ATOMIC_RELAXED) != own.process ||
        (uint32_t)fo_getpid() != own.pid || !fo_journal_is_usable() ||
        __atomic_exchange_n(&own.leaving, 1, __ATOMIC_ACQ_REL) != 0)
        return false;
    __atomic_sub_fetch(&fo_journal->counters.guarded, 1, __ATOMIC_RELAXED);
    set_guard(FO_JOURNAL_GUARDED, FO_JOURNAL_LEFT);
    return true;
}

void fo_journal_undo_exec(void)
{
    int saved_errno = errno;

    if (fo_journal_is_usable()) {
        __atomic_add_fetch(&fo_journal->counters.guarded, 1, __ATOMIC_RELAXED);
        set_guard(FO_JOURNAL_LEFT, FO_JOURNAL_GUARDED);
    }
    __atomic_store_n(&own.leaving, 0, __ATOMIC_RELEASE);
    errno = saved_errno;
}
