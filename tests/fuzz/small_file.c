/* The reader of suppressions with less room for a file: the mebibyte that it takes each time would
 * be most of the time of an input. */
#include <stdlib.h>

enum { ROOM = 1 << 16 }; /* more than any input */

#define malloc(size) malloc((size) < ROOM ? (size) : ROOM)
#include "cli/output/suppress.c"
