/* Why was no process of a run guarded? */
#ifndef FO_CLI_RUN_UNGUARDED_H
#define FO_CLI_RUN_UNGUARDED_H

#include "cli/model/model.h"

/* Fill in model->unguarded, for this command (NULL: for a journal alone), from the counters of the
 * journal and from the files of the programs that the command line names. */
void fo_run_unguarded(struct fo_model *model, char *const *command);

#endif
