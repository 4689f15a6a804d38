/* From journals to a model: see model.h.  Nothing in the files is trusted. */
#ifndef FO_CLI_MODEL_JOURNAL_READ_H
#define FO_CLI_MODEL_JOURNAL_READ_H

#include "cli/model/model.h"

/* Read the journals of these paths into *model.  A message says what is wrong with a journal; its
 * whole rows are in the model all the same.  Returns FO_EXIT_OK, or the status of the first error:
 * FO_EXIT_NO_INPUT, FO_EXIT_DATA, FO_EXIT_SOFTWARE.  The caller frees the model in any case. */
int fo_model_read(struct fo_model *model, char *const *paths, int count);

#endif
