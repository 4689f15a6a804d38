/* The reader of suppressions takes a mebibyte for a file each time, which would be most of the time
 * of an input, and would hide a read behind the file's end. */
#ifndef FO_TESTS_FUZZ_SMALL_FILE_H
#define FO_TESTS_FUZZ_SMALL_FILE_H

#include <stddef.h>

/* Bytes for the next file: its size, and the NUL. */
extern size_t small_file_room;

#endif
