/* What is visible and writable in the unit's sandbox?  systemd.exec(5) "SANDBOXING". */
#ifndef FO_CLI_SYSTEMD_SANDBOX_H
#define FO_CLI_SYSTEMD_SANDBOX_H

#include "cli/systemd/unit.h"

enum fo_access {
    FO_WRITABLE,  /* for root; the file's own permissions count, too */
    FO_READ_ONLY, /* visible, not writable */
    FO_PRIVATE,   /* another file system is mounted over it: files there are not the host's */
    FO_HIDDEN,    /* inaccessible, and nothing can be mounted below it */
};

struct fo_rule {
    const char *path, *why; /* "ProtectSystem=strict" */
    bool made;              /* a directory that systemd makes for the unit, and gives to its user */
    enum { FO_MOUNT_BIND, FO_MOUNT_PRIVATE, FO_MOUNT_HIDDEN, FO_ALLOW_WRITE, FO_FORBID_WRITE } kind;
};

struct fo_sandbox {
    struct fo_rule *rules;
    size_t count;
    const char *user; /* of the program; "root", "a dynamic user" */
    bool is_root, dynamic_user;
    const char *root; /* "RootDirectory=/srv/x"; NULL: the host's */
    const char *logs; /* the unit's own first LogsDirectory=; NULL: none */
};

void fo_sandbox_read(struct fo_sandbox *sandbox, struct fo_unit *unit);
void fo_sandbox_free(struct fo_sandbox *sandbox);

/* What the path is inside the sandbox; `*why` names the setting that causes it, or is "". */
enum fo_access fo_sandbox_access(const struct fo_sandbox *sandbox, const char *path,
                                 const char **why);

/* Does systemd make the directory `path`, or one above it, for the unit? */
bool fo_sandbox_makes(const struct fo_sandbox *sandbox, const char *path);

/* Is `path` in `directory`, or equal to it? */
bool fo_path_below(const char *path, const char *directory);

#endif
