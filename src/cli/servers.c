/* See servers.h. */
#include "cli/servers.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const struct fo_server servers[] = {
#define IMPORTS(givers)                                                                            \
    givers                                                                                         \
        " only the variables that import_environment names: the drop-in alone guards none of them"
#define POSTFIX IMPORTS("Postfix gives its daemons")
#define ENVVARS "apachectl reads /etc/apache2/envvars last: what it sets wins over the drop-in"
    {"kamailio", "kamailio", FO_SERVER_WORKS,
     "Kamailio keeps OpenSSL's memory in memory that its processes share, which the library cures"},
    {"opensips", "opensips", FO_SERVER_WORKS,
     "OpenSIPS keeps OpenSSL's memory in memory that its processes share, which the library cures"},
    {"nginx", "nginx", FO_SERVER_WORKS,
     "nginx loses the variables in a binary upgrade, unless nginx.conf names each with `env`"},
    {"apachectl", "apache", FO_SERVER_WORKS, ENVVARS},
    {"apache2ctl", "apache", FO_SERVER_WORKS, ENVVARS},
    {"haproxy", "haproxy", FO_SERVER_WORKS,
     "Where haproxy.cfg has resetenv, it must name LD_PRELOAD and each FREEONCE_..."},
    {"dovecot", "dovecot", FO_SERVER_NEEDS_MORE, IMPORTS("Dovecot gives its processes")},
    {"postmulti", "postfix", FO_SERVER_NEEDS_MORE, POSTFIX},
    {"postfix", "postfix", FO_SERVER_NEEDS_MORE, POSTFIX},
    {"sshd", "sshd", FO_SERVER_WORKS,
     "sshd gives sessions nothing of its environment: they are not guarded"},
    {"pg_ctlcluster", "postgresql", FO_SERVER_IS_NONE,
     "pg_ctlcluster empties the environment: the variables belong into a cluster's file "
     "`environment`. Name the cluster, as postgresql@15-main"},
    {"squid", "squid", FO_SERVER_NEEDS_MORE,
     "squid executes its worker, which does all of the TLS, with mixed user ids: that takes the "
     "library away, unless squid is started as its user. The drop-in alone guards nothing that "
     "matters"},
    {"postgres", "postgresql", FO_SERVER_WORKS,
     "The journal must be where the user postgres can make it"},
};

const struct fo_server *fo_server_find(const char *program)
{
    for (size_t i = 0; i < sizeof servers / sizeof servers[0]; i++)
        if (strcmp(servers[i].program, program) == 0)
            return &servers[i];
    return NULL;
}

bool fo_server_binds_deep(const char *program)
{
    static const char *const patterns[] = {"php", "php[0-9]*", "php-fpm*", "php-cgi*", "libphp*"};

    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++)
        if (fnmatch(patterns[i], program, 0) == 0)
            return true;
    return false;
}

bool fo_apparmor_profile(const char *root, const char *program, char *name, size_t size)
{
    char path[4096];
    struct stat status;
    const char *from = program + (*program == '/');

    if (snprintf(name, size, "%s", from) >= (int)size)
        return false;
    for (char *c = name; *c != '\0'; c++)
        if (*c == '/')
            *c = '.';
    if (snprintf(path, sizeof path, "%s/etc/apparmor.d/%s", root, name) >= (int)sizeof path ||
        stat(path, &status) != 0)
        return false;
    snprintf(path, sizeof path, "%s/etc/apparmor.d/disable/%s", root, name);
    return lstat(path, &status) != 0;
}
