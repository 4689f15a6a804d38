/* With FREEONCE_LEAKS: which guarded processes were not looked at for leaks, and why not? */
#include <stdio.h>
#include <string.h>

#include "cli/model/model.h"
#include "report/journal_format.h"

static bool is_asked(const struct fo_model *model)
{
    return model->settings != NULL && strstr(model->settings, " LEAKS=1") != NULL;
}

bool fo_process_is_unlooked(const struct fo_model *model, const struct fo_process_shown *process)
{
    return is_asked(model) && process->guard == FO_JOURNAL_GUARDED &&
           process->look != FO_JOURNAL_LOOKED;
}

size_t fo_model_unlooked(const struct fo_model *model)
{
    size_t count = 0;

    for (size_t i = 0; i < model->process_count; i++)
        count += fo_process_is_unlooked(model, &model->processes[i]);
    return count;
}

const char *fo_process_why_unlooked(const struct fo_process_shown *process)
{
    switch (process->look) {
    case FO_JOURNAL_NOT_SHARED:
        return "processes share OpenSSL's memory";
    case FO_JOURNAL_NOT_SANDBOXED:
        return "its system calls are filtered";
    case FO_JOURNAL_NOT_SEARCHED:
        return "its memory could not be searched";
    default:
        return process->signal != 0 ? "a signal ended it"
                                    : "it ended by _exit or a signal, or is still running";
    }
}
