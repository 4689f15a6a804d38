/* Rows of the table of processes (struct fo_lineage in tree.h): which process gets which?  A header
 * has 10 bits for a row, so there are 1,023. */
#ifndef FO_PROCESS_ROWS_H
#define FO_PROCESS_ROWS_H

#include <sys/types.h>

#include "base/format.h"
#include "process/tree.h"

/* A row for this process, which the caller fills in.  When all were used: in private memory only
 * blocks of this process's ancestors can exist, so any other row is used again; in shared memory
 * see below.  0: no row, the process stays unknown. */
uint32_t fo_row_new(struct fo_tree *tree);

/* Where memory is shared, the parent chooses the row of the child that it forks.  So it knows the
 * child before the fork returns, and it can ask the system which processes have ended, which a
 * sandbox may forbid to the child.  When all were used: the row of a process that has ended and has
 * no children in the table. */
void fo_rows_before_fork(struct fo_tree *tree, uint32_t parent);
void fo_rows_after_fork(struct fo_tree *tree, pid_t child); /* -1: it failed */

/* How many forks there have been, in all processes that use this table. */
uint32_t fo_row_forks(void);

/* The contents of a row, for any index; 0: not known.  Where memory is shared, any process of the
 * tree can have written them. */
uint32_t fo_row_pid(uint32_t row);
uint32_t fo_row_parent(uint32_t row); /* a row of the table */
uintptr_t fo_row_place(uint32_t row); /* an address that must never be read */
void fo_row_put_name(struct fo_text *t, uint32_t row);

/* This process and its ancestors. */
bool fo_row_is_ancestor(uint32_t row);
void fo_row_descend(uint32_t parent);

#endif
