/* Which code is at an address of a process that is read from outside: of which file, and where in
 * it?  Its functions and lines are then found by symbols/. */
#ifndef FO_CLI_INSPECT_MODULES_H
#define FO_CLI_INSPECT_MODULES_H

#include "cli/inspect/source.h"
#include "cli/model/model.h"

struct fo_modules;

/* Texts are the model's.  Without memory the command ends. */
struct fo_modules *fo_modules_start(struct fo_source *s, struct fo_model *model);
void fo_modules_free(struct fo_modules *m);

/* Module, build-id and address of code; where no file is mapped, the address alone. */
struct fo_code fo_module_code(struct fo_modules *m, uint64_t address);

#endif
