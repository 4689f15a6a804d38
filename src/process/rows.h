/* Rows of the table of processes (struct fo_lineage in tree.h): who gets which.  A header
 * has 10 bits for a row, so that there are 1,023. */
#ifndef FO_PROCESS_ROWS_H
#define FO_PROCESS_ROWS_H

#include <sys/types.h>

#include "base/format.h"
#include "process/tree.h"

/* A row for this process, which the caller fills in.  When all were used: in private memory only
 * our ancestors' blocks can be here, so that any other row serves again; in shared memory see
 * below.  0: no row, the process stays unknown. */
uint32_t fo_row_new(struct fo_tree *tree);

/* Where memory is shared, the parent chooses the row of the child that it forks: so it knows of it
 * before it goes on, and can ask the system which processes are gone, which a child in a sandbox
 * may not.  When all were used: that of a process which is gone and has no children in the table.
 */
void fo_rows_before_fork(struct fo_tree *tree, uint32_t parent);
void fo_rows_after_fork(struct fo_tree *tree, pid_t child); /* -1: it failed */

/* So many forks there have been, in all processes that use this table. */
uint32_t fo_row_forks(void);

/* What a row says, for any index; 0 if it does not say.  Where memory is shared, any process of the
 * tree can have written it. */
uint32_t fo_row_pid(uint32_t row);
uint32_t fo_row_parent(uint32_t row); /* a row of the table */
uintptr_t fo_row_place(uint32_t row); /* nothing may be read there */
void fo_row_put_name(struct fo_text *t, uint32_t row);

/* Of this process and those from whom it descends. */
bool fo_row_is_ancestor(uint32_t row);
void fo_row_descend(uint32_t parent);

#endif
