/* Where do lines for people go?  To stderr, to a file that was opened at start, to syslog or to
 * systemd-journald; FREEONCE_LOG chooses.  Writing takes no lock, allocates nothing, waits for
 * nothing, is no cancellation point and works in a signal handler.
 *
 * Standard error is written to only while it is what it was when the program started: servers give
 * descriptor 2 to a client's socket or to a data file.  Otherwise a finding stays in the journal,
 * or goes to syslog.  What cannot be written anywhere is counted, and the count is printed with the
 * next report that can be written. */
#ifndef FO_REPORT_OUTPUT_H
#define FO_REPORT_OUTPUT_H

#include "base/format.h"
#include "base/shared_number.h"

/* Record what standard error is.  Called first of all, before the program runs. */
void fo_output_begin(void);

/* Open what FREEONCE_LOG names.  If that fails, a message on stderr has the reason, and stderr is
 * used. */
void fo_output_open(void);

/* To be called before a fork, to open the file again if needed: some servers (sshd) close all
 * descriptors, fork, and lock the child into a sandbox that cannot open the file. */
void fo_output_before_fork(void);

/* In a child: if the path has %p, the child gets a file of its own. */
void fo_output_forked(void);

/* Counts of what was not printed.  By default they are of this process; in shared memory they are
 * of all processes of the tree. */
struct fo_unprinted {
    struct fo_shared_u64 findings, messages; /* could not be written anywhere */
    struct fo_shared_u64 left_out;           /* findings beyond the limit of lines */
    struct fo_shared_u64 second;             /* a second << 32 | lines printed in it */
};
void fo_output_share(struct fo_unprinted *counts);

/* Are findings to be printed, too?  Not with FREEONCE_LOG=journal, if there is a journal. */
bool fo_output_has_findings(void);

/* Print a finding: whole lines, which already start with "freeonce: " or blanks.  systemd-journald
 * gets the record's parts as well, if there is one; it was seen so many times. */
struct fo_record;
void fo_output_finding(const char *text, size_t length, const struct fo_record *record,
                       uint64_t count);

/* The same, but no more than 100 lines a second of all findings that are printed this way; what is
 * left out is counted. */
void fo_output_finding_bounded(const char *text, size_t length, const struct fo_record *record,
                               uint64_t count);

/* Print the counts of what was not printed, if there are any. */
void fo_output_unprinted(void);

#endif
