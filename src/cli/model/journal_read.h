/* From journals to a model: see model.h.  Nothing in the files is trusted. */
#ifndef FO_CLI_MODEL_JOURNAL_READ_H
#define FO_CLI_MODEL_JOURNAL_READ_H

#include "cli/model/model.h"

/* Read the journals of these paths into *model.  What is wrong with one is said, and what is whole
 * of it is still in the model.  Returns FO_EXIT_OK, or the worst that was met: FO_EXIT_NO_INPUT,
 * FO_EXIT_DATA, FO_EXIT_SOFTWARE.  The model is the caller's to free in any case. */
int fo_model_read(struct fo_model *model, char *const *paths, int count);

#endif
