/* A whole file at once. */
#ifndef FO_CLI_REPLACE_FILE_H
#define FO_CLI_REPLACE_FILE_H

#include <stddef.h>

#include "cli/exit.h"

/* The text is written beside `path` and renamed, so that a reader has the old text or the new one,
 * whatever ends this process.  What is there and no regular file stays.  FO_EXIT_OK, or another
 * status after a message. */
enum fo_exit fo_replace_file(const char *path, const char *text);

/* The same for bytes of any value. */
enum fo_exit fo_replace_file_bytes(const char *path, const void *bytes, size_t size);

#endif
