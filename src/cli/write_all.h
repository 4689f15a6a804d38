/* A text into a file. */
#ifndef FO_CLI_WRITE_ALL_H
#define FO_CLI_WRITE_ALL_H

#include <stdbool.h>
#include <stddef.h>

/* False: an error, in errno; a part of the text may be written. */
bool fo_write_all(int fd, const char *text);
bool fo_write_bytes(int fd, const void *bytes, size_t size);

#endif
