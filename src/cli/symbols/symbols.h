/* Function, file and line of addresses in modules, through elfutils (libdw; debuginfod where
 * DEBUGINFOD_URLS is set). */
#ifndef FO_CLI_SYMBOLS_SYMBOLS_H
#define FO_CLI_SYMBOLS_SYMBOLS_H

#include "cli/model/model.h"

/* Whose files may be read? */
enum fo_symbols {
    FO_SYMBOLS_NO,  /* none */
    FO_SYMBOLS_OWN, /* root's and the caller's */
    FO_SYMBOLS_ALL,
};

/* Fill in what is found for all code of the model.  A file with another build-id than the loaded
 * module is not used.  A file that exists and cannot be read causes a warning. */
void fo_symbols_resolve(struct fo_model *model, enum fo_symbols which);

/* The same for this code, whose texts are the model's.  The list gets another order. */
void fo_symbols_resolve_codes(struct fo_model *model, struct fo_code **codes, size_t count,
                              enum fo_symbols which);

#endif
