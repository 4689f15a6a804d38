/* The lines of an entry: suppress.c reads them, suppress_match.c applies them. */
#ifndef FO_CLI_OUTPUT_SUPPRESS_RULES_H
#define FO_CLI_OUTPUT_SUPPRESS_RULES_H

#include <stdbool.h>

enum fo_suppress_key {
    FO_SUPPRESS_KIND,
    FO_SUPPRESS_OBJECT,
    FO_SUPPRESS_SITE, /* any place */
    FO_SUPPRESS_ALLOCATED,
    FO_SUPPRESS_FREED,
    FO_SUPPRESS_NOW,
    FO_SUPPRESS_PROGRAM,
    FO_SUPPRESS_KEYS,
};

struct fo_suppress_rule {
    struct fo_suppress_rule *next;
    enum fo_suppress_key key;
    char glob[]; /* as for fnmatch(3) */
};

/* The largest file of suppressions, in bytes. */
enum { FO_SUPPRESS_FILE_MAX = 16 << 20 };

/* Is this the name of a kind of finding? */
bool fo_suppress_has_kind(const char *name);

#endif
