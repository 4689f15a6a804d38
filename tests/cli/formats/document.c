/* Writes one of the models of made.h in one format: document FORMAT MODEL [STATUS SECONDS WORD...]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/output/format.h"
#include "made.h"

static const struct {
    const char *name;
    void (*write)(FILE *out, const struct fo_model *model, const struct fo_run_shown *run);
} formats[] = {{"json", fo_format_json},
               {"junit", fo_format_junit},
               {"sarif", fo_format_sarif},
               {"html", fo_format_html},
               {"github", fo_format_github}};

int main(int argc, char **argv)
{
    struct fo_run_shown run = {.command = NULL};
    struct fo_model model;

    if (argc < 3)
        return 64;
    if (argc > 4) {
        run = (struct fo_run_shown){
            .ended = true, .status = atoi(argv[3]), .seconds = atof(argv[4]), .command = argv + 5};
        run.signal = run.status > 128 ? run.status - 128 : 0;
    }
    for (int i = 0; i < MADES; i++)
        if (strcmp(made_names[i], argv[2]) == 0)
            made_model(&model, (enum made)i);
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (strcmp(formats[i].name, argv[1]) == 0)
            formats[i].write(stdout, &model, &run);
    return ferror(stdout) != 0 || fflush(stdout) != 0;
}
