/* See small_file.h. */
#include "small_file.h"

#include <stdlib.h>

size_t small_file_room;

#define malloc(size) malloc((size) < (1 << 20) ? (size) : small_file_room)
#include "cli/output/suppress.c"
