/* What is known of servers by their name: which need more than LD_PRELOAD in their environment? */
#ifndef FO_CLI_SERVERS_H
#define FO_CLI_SERVERS_H

#include <stdbool.h>
#include <stddef.h>

#define FO_SERVER_PAGES "/usr/share/doc/freeonce/servers"

enum fo_server_kind {
    FO_SERVER_WORKS,      /* the variables suffice */
    FO_SERVER_NEEDS_MORE, /* they alone guard nothing that matters */
    FO_SERVER_IS_NONE,    /* it starts servers and hands them nothing on */
};

struct fo_server {
    const char *program, *page; /* its file name; FO_SERVER_PAGES/PAGE.md */
    enum fo_server_kind kind;
    const char *text; /* a sentence without its full stop */
};

/* By the name of the program's file.  NULL: nothing is known. */
const struct fo_server *fo_server_find(const char *program);

/* Does the program, or module, open its modules with RTLD_DEEPBIND?  The library's functions are
 * not found from there. */
bool fo_server_binds_deep(const char *program);

/* Is there an AppArmor profile that is attached by the program's path, as usr.sbin.named to
 * /usr/sbin/named?  Its file's name in /etc/apparmor.d below `root`. */
bool fo_apparmor_profile(const char *root, const char *program, char *name, size_t size);

#endif
