/* The descriptors that reports are written to: is each still what it was when it was opened, or
 * when the program started?  And writing to one without waiting.  Called by output.c; allocates
 * nothing, takes no lock, is no cancellation point. */
#ifndef FO_REPORT_TARGET_H
#define FO_REPORT_TARGET_H

#include <sys/stat.h>
#include <sys/uio.h>

#include "base/base.h"

/* What a descriptor led to. */
struct fo_target {
    bool known;  /* false: it led to nothing that may be written to */
    bool is_own; /* opened by the library, non-blocking; else shared with the program */
    mode_t type;
    dev_t device, special; /* of the file; of the device that it is */
    ino_t inode;
};

/* Record what `fd` leads to now.  False: to nothing. */
bool fo_target_record(struct fo_target *t, int fd);

enum fo_still {
    FO_STILL_SAME,
    FO_STILL_UNKNOWN, /* a sandbox forbids fstat(2) */
    FO_STILL_NOT,     /* it is closed, or something else by now */
};
enum fo_still fo_target_check(const struct fo_target *t, int fd);

enum fo_written {
    FO_WRITTEN,
    FO_WRITTEN_NOT_NOW, /* the reader is slow or stopped: a write would wait */
    FO_WRITTEN_NOT,
};

/* Write whole lines to `fd`, which leads to *t.  Signals that a failing write sends (SIGPIPE,
 * SIGXFSZ, SIGTTOU) do not reach the program; in a sandbox, where the library cannot discard it,
 * such a signal stays pending. */
enum fo_written fo_target_write(int fd, const struct fo_target *t, bool sandbox, const char *text,
                                size_t length);

/* The path of a log, in which the pid stands for %p. */
void fo_target_path(const char *pattern, char *out, size_t size);

/* A socket to the daemon that listens at this path, or -1. */
int fo_target_connect(const char *path);

/* Send these pieces as one datagram. */
enum fo_written fo_target_datagram(int fd, bool sandbox, const struct iovec *pieces, int count);

/* Send each line to the log daemon at the other end of this socket. */
enum fo_written fo_target_syslog(int fd, bool sandbox, const char *text, size_t length);

#endif
