/* The process that reads one ELF file, with libdw, for lookup.c. */
#ifndef FO_CLI_SYMBOLS_READER_H
#define FO_CLI_SYMBOLS_READER_H

#include <stddef.h>

#include "cli/model/model.h"

/* Code of one module: each has its path and build-id.  In the order of addresses. */
struct fo_symbols_wanted {
    struct fo_code **codes;
    size_t count;
};

/* Has this code the address of the code before it?  Then it has the same answer. */
static inline bool fo_symbols_is_repeated(const struct fo_symbols_wanted *wanted, size_t index)
{
    return index > 0 && wanted->codes[index]->address == wanted->codes[index - 1]->address;
}

/* In a child of the command: read the file, send what was found through the socket, and end. */
_Noreturn void fo_reader_run(const struct fo_symbols_wanted *wanted, int socket, int file);

#endif
