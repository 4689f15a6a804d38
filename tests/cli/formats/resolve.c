/* resolve MODULE BUILD-ID ADDRESS: prints "function file line" of it as the command finds them. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/symbols/symbols.h"

int main(int argc, char **argv)
{
    struct fo_process_shown process = {.pid = 1};
    struct fo_model model = {.processes = &process, .process_count = 1};

    if (argc != 4)
        return 64;
    process.forked = (struct fo_code){
        .module = argv[1], .build_id = argv[2], .address = strtoull(argv[3], NULL, 16)};
    fo_symbols_resolve(&model, FO_SYMBOLS_OWN);
    printf("%s %s %u\n", process.forked.function != NULL ? process.forked.function : "-",
           process.forked.file != NULL ? process.forked.file : "-", process.forked.line);
    model.processes = NULL;
    fo_model_free(&model);
    return 0;
}
