/* Writing the journal (FREEONCE_JOURNAL); its format is in journal_format.h.  Lock-free, from any
 * process of the tree, in a signal handler, without a system call once it is mapped. */
#ifndef FO_REPORT_JOURNAL_H
#define FO_REPORT_JOURNAL_H

#include "base/base.h"
#include "report/journal_format.h"
#include "report/journal_make.h"

/* NULL: no journal is kept.  Any process that can write to the file can have written what is read
 * there (law 9): only numbers are read back, which are compared, counted, or bounded. */
extern struct fo_journal *fo_journal;

/* Is a journal kept, and not given up? */
bool fo_journal_is_kept(void);

/* Can the mapping be accessed now?  If the file was truncated, an access behind its end is a
 * SIGBUS; such a journal is given up, with a message.  To be called before each row. */
bool fo_journal_is_usable(void);

/* Install a handler for SIGBUS if users other than this one and root can truncate the file: they
 * may do so after fo_journal_is_usable() and before the access.  (This user and root could end this
 * process anyway.) */
void fo_journal_watch(void);

/* Open and map the file that FREEONCE_JOURNAL names.  Called from the constructor: a program may
 * enter a chroot before it loads OpenSSL.  A file that does not exist is made if the program can
 * load OpenSSL later; else fo_journal_make() makes it when OpenSSL is seen: helpers of a service
 * (chown, sh) leave no file behind.  Both print nothing. */
void fo_journal_open(void);
void fo_journal_make(void);

/* Print why fo_journal_open() or fo_journal_make() failed.  False: it failed. */
bool fo_journal_report_error(void);

/* Write a row for process `index` of fo_hot.tree's table. */
void fo_journal_write_process(uint32_t index);

/* Record how the library was loaded into this process, or why it was not. */
void fo_journal_record_guard(enum fo_journal_guard guard, const char *how);

/* Write the options of this guarded process, or count it if the journal has other ones. */
void fo_journal_write_settings(void);

/* Count this process, which uses OpenSSL 1.1 and no other. */
void fo_journal_count_older(void);

/* This process is about to execute another program, which is counted by itself.  True: the journal
 * does not count it as guarded any more, and fo_journal_undo_exec() is to be called if execve(2)
 * fails. Both can be called anywhere: the child of a vfork(2), which has its parent's memory, is
 * not taken for its parent. */
bool fo_journal_begin_exec(void);
void fo_journal_undo_exec(void);

/* This process is about to be ended by this signal. */
void fo_journal_record_signal(int number);

/* Keep a finding that was seen so many times.  *row gets the number of its row, for the next time;
 * 0 at first.  It lies in memory of this process: the number is not bounded when it is read. */
struct fo_record;
void fo_journal_finding(const struct fo_record *record, uint64_t times, uint32_t *row);

/* This process was looked at for leaks at its end, or it is not looked at, for this reason. */
void fo_journal_record_look(enum fo_journal_look look);

/* For journal_process.c and journal_finding.c: the row for this key in a table, claimed if it is
 * new (*is_new), or NULL when the table is full. */
struct fo_journal_row *fo_journal_claim(void *table, size_t row_size, uint32_t rows, uint64_t key,
                                        bool *is_new);
void fo_journal_finish(struct fo_journal_row *row, const void *body, size_t size);
struct fo_journal_code fo_journal_code(uintptr_t address);
uint32_t fo_journal_intern(const char *text);

/* The row of process `index`, not used again from now on; 0: none. */
uint32_t fo_journal_keep_process(uint32_t index);

#endif
