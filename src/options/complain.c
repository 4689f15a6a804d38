/* Prints what is wrong with the options, where reports go.  Separate from options.c, which the
 * command freeonce uses too. */
#include "base/say.h"
#include "options/options.h"

unsigned fo_options_complain(void)
{
    unsigned n = fo_options_problems();

    for (unsigned i = 0; i < n; i++) {
        char line[400];
        struct fo_text t = FO_TEXT(line);
        if (!fo_options.require && fo_options_is_reported(i))
            continue;
        fo_options_put_problem(&t, i);
        fo_say(&t);
    }
    return n;
}
