/* Searches the debug information of a module: in the places where libdw would search, and on the
 * servers of DEBUGINFOD_URLS. */
#ifndef FO_CLI_SYMBOLS_DEBUG_FILE_H
#define FO_CLI_SYMBOLS_DEBUG_FILE_H

#include <stdint.h>

#include "cli/symbols/trusted_file.h"

struct fo_debug_search {
    const char *module;                 /* path, as the journal has it */
    const struct fo_trusted_file *file; /* the module, or the debug file that names the link */
    bool all;                           /* files of any owner */
    bool has_reported;                  /* a refused candidate was reported */
};

/* Open the first candidate from number *next on, and set *next to the number of the one after it.
 * `build_id` is hexadecimal or ""; link is a name, or NULL.  With `alt` it is the file that several
 * debug files share, otherwise the debug file of the module.  False: there is none left. */
bool fo_debug_file_open(struct fo_debug_search *search, bool alt, const char *link,
                        const char *build_id, uint32_t *next, struct fo_trusted_file *found);

#endif
