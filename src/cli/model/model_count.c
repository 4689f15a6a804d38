/* How many findings of a model are not suppressed? */
#include "cli/model/model.h"

size_t fo_model_counting(const struct fo_model *model)
{
    size_t n = 0;

    for (size_t i = 0; i < model->finding_count; i++)
        n += model->findings[i].suppressed == NULL;
    return n;
}

bool fo_model_has_findings(const struct fo_model *model)
{
    return fo_model_counting(model) != 0 || model->dropped != 0;
}
