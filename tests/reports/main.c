/* reports PART ARGUMENT ...: see the files of the parts.  Run by the runners of the same names. */
#include <string.h>
#include <unistd.h>

#include "reports.h"

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(char **);
    } parts[] = {{"where", run_where},
                 {"cancelled", run_cancelled},
                 {"left", run_left},
                 {"neighbours", run_neighbours}};

    alarm(120); /* a case must not wait longer: its runner may have ended */
    for (size_t i = 0; argc > 1 && i < sizeof parts / sizeof *parts; i++)
        if (strcmp(argv[1], parts[i].name) == 0) {
            parts[i].run(argv + 2);
            printf("end\n");
            return EXIT_SUCCESS;
        }
    printf("usage: reports PART ARGUMENT ...\n");
    return 2;
}
