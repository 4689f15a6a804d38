/* Which options are in /etc/freeonce.conf?  They are for programs that have no environment to put
 * them in: every program of a system with /etc/ld.so.preload.  The constructor reads the file
 * before libc is ready: with system calls and a buffer of the caller, nothing else. */
#ifndef FO_OPTIONS_CONF_H
#define FO_OPTIONS_CONF_H

#include "base/base.h"
#include "base/format.h"

#define FO_CONF_PATH "/etc/freeonce.conf"

enum { FO_CONF_MAX = 16384 }; /* bytes of a file that is obeyed */

enum fo_conf_state {
    FO_CONF_ABSENT, /* the usual case, not reported */
    FO_CONF_GOOD,
    FO_CONF_UNOPENED,
    FO_CONF_LINK,
    FO_CONF_IRREGULAR,
    FO_CONF_OWNED,    /* by a user who is not root */
    FO_CONF_WRITABLE, /* by group or others; an access control list sets these bits, too */
    FO_CONF_LARGE,
    FO_CONF_UNREAD,
};

struct fo_conf {
    const char *path;
    enum fo_conf_state state;
    int error;      /* errno, of FO_CONF_UNOPENED and FO_CONF_UNREAD */
    unsigned owner; /* of FO_CONF_OWNED */
    unsigned mode;  /* of FO_CONF_WRITABLE */
    size_t length;
    char *at, *end; /* what fo_conf_next() has not read yet */
    unsigned line;
    char text[FO_CONF_MAX + 1];
};

enum fo_conf_kind { FO_CONF_SETTING, FO_CONF_SECTION, FO_CONF_WRONG, FO_CONF_WRONG_SECTION };

struct fo_conf_line {
    unsigned number;
    enum fo_conf_kind kind;
    const char *name;  /* of a setting, with FREEONCE_; or of a section's program */
    const char *value; /* of a setting */
    const char *wrong; /* what is wrong: the rest of "FILE:LINE: ..." */
};

/* Read the file; a file that another user may have written, only with `insist`.  Whatever the file
 * is, the call returns: it waits for no device and follows no link.  errno is kept. */
void fo_conf_read(struct fo_conf *conf, const char *path, bool insist);

/* The next line that is neither empty nor a comment; false at the end.  Its strings lie in
 * conf->text. */
bool fo_conf_next(struct fo_conf *conf, struct fo_conf_line *line);

/* Why is the file not obeyed?  "/etc/freeonce.conf is ..., ignored". */
void fo_conf_put_reason(struct fo_text *t, const struct fo_conf *conf);

#endif
