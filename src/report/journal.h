/* Writing the journal (FREEONCE_JOURNAL): journal_format.h is what it looks like.  Lock-free, from
 * any process of the tree, in a signal handler, without a system call once it is mapped. */
#ifndef FO_REPORT_JOURNAL_H
#define FO_REPORT_JOURNAL_H

#include "base/base.h"
#include "report/journal_format.h"
#include "report/journal_make.h"

/* NULL: none is kept.  Any process that can write to the file can have written what is read there
 * (law 9): only numbers are read back, which are compared, counted, or bounded. */
extern struct fo_journal *fo_journal;

/* Is one kept, and not given up? */
bool fo_journal_is_kept(void);

/* May it be touched now?  The file may have been truncated by then, and what is touched behind its
 * end is a SIGBUS; a journal that was is given up, with a message.  To be asked before each row. */
bool fo_journal_is_usable(void);

/* Where users other than this one and root can truncate the file, survive that between the question
 * and the row, too: by a handler for SIGBUS.  (Others could end this process anyway.) */
void fo_journal_watch(void);

/* Open and map the file that FREEONCE_JOURNAL names.  Called from the constructor: a program may
 * enter a chroot before it loads OpenSSL.  A file that is not there is made if the program may load
 * OpenSSL, and else by fo_journal_make() when OpenSSL is seen: helpers of a service (chown, sh)
 * leave nothing behind.  Both print nothing. */
void fo_journal_open(void);
void fo_journal_make(void);

/* Tell why fo_journal_open() could not.  False: it could not. */
bool fo_journal_complain(void);

/* Enter process `index` of fo_hot.tree's table. */
void fo_journal_process(uint32_t index);

/* How the library got into this process, or why it could not. */
void fo_journal_how(enum fo_journal_guard guard, const char *how);

/* This process uses OpenSSL 1.1 and no other. */
void fo_journal_count_older(void);

/* This process is about to execute another program, which counts for itself.  True: the journal
 * counts it no longer as guarded, and fo_journal_stay() is to be called if that fails.  Both are
 * for any place: the child of a vfork(2), which has its parent's memory, is not taken for its
 * parent. */
bool fo_journal_leave(void);
void fo_journal_stay(void);

/* This process is about to be ended by this signal. */
void fo_journal_ended(int number);

/* Keep a finding.  *row remembers where it is, for the next time; 0 at first.  It may lie in memory
 * that processes share. */
struct fo_record;
void fo_journal_finding(const struct fo_record *record, uint32_t *row);

/* For the two halves of the writer: the row for this key in a table, claimed if it is new
 * (*is_new), or NULL when the table is full. */
struct fo_journal_row *fo_journal_claim(void *table, size_t row_size, uint32_t rows, uint64_t key,
                                        bool *is_new);
void fo_journal_finish(struct fo_journal_row *row, const void *body, size_t size);
struct fo_journal_code fo_journal_code(uintptr_t address);
uint32_t fo_journal_intern(const char *text);

/* The row of process `index`, kept from now on; 0: none. */
uint32_t fo_journal_keep_process(uint32_t index);

#endif
