/* A file or a pipe as one text in memory, up to a limit. */
#ifndef FO_CLI_READ_ALL_H
#define FO_CLI_READ_ALL_H

#include <stddef.h>

#include "cli/exit.h"

/* Read up to the end, and add a NUL that is not counted; the caller frees the text in any case.
 * FO_EXIT_DATA: it is more than `limit`; FO_EXIT_NO_INPUT: an error, in errno. */
enum fo_exit fo_read_all(int fd, size_t limit, char **text, size_t *length);

#endif
