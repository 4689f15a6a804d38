/* Function, file and line of addresses in modules, through elfutils (libdw; debuginfod where
 * DEBUGINFOD_URLS is set). */
#ifndef FO_CLI_MODEL_SYMBOLS_H
#define FO_CLI_MODEL_SYMBOLS_H

#include "cli/model/model.h"

/* Fill in what can be found for all code of the model.  A module whose file has another build-id
 * than was loaded is not used. */
void fo_symbols_resolve(struct fo_model *model);

#endif
