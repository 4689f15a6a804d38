/* Which processes of a model did a signal end?  With FREEONCE_FAULTS, a process writes its own
 * fault into the journal; for its children, the command knows how they ended. */
#include "cli/model/model.h"

#include "report/journal_format.h"

void fo_model_killed(struct fo_model *model, unsigned pid, int signal)
{
    struct fo_process_shown *last = NULL;

    for (size_t i = 0; i < model->process_count; i++) {
        struct fo_process_shown *p = &model->processes[i];
        if (p->pid == pid && (last == NULL || p->started >= last->started))
            last = p;
    }
    if (last != NULL)
        last->signal = signal;
}

bool fo_process_is_unexplained(const struct fo_model *model, const struct fo_process_shown *process)
{
    if (process->signal == 0 || process->guard != FO_JOURNAL_GUARDED)
        return false;
    for (size_t i = 0; i < model->finding_count; i++)
        if (model->findings[i].now.process == process)
            return false;
    return true;
}

size_t fo_model_unexplained(const struct fo_model *model)
{
    size_t count = 0;

    for (size_t i = 0; i < model->process_count; i++)
        count += fo_process_is_unexplained(model, &model->processes[i]);
    return count;
}
