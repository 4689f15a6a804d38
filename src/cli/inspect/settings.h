/* The library's options as they are in force in a process. */
#ifndef FO_CLI_INSPECT_SETTINGS_H
#define FO_CLI_INSPECT_SETTINGS_H

#include "cli/inspect/target.h"
#include "options/options.h"

struct fo_setting {
    const char *name;        /* without FREEONCE_ */
    bool known;              /* the library has it, and its value is one that there can be */
    bool changed;            /* it is not the default */
    char value[FO_TEXT_MAX]; /* clean */
};

/* Of each option that this command has, in the order of options.def. */
void fo_settings_read(struct fo_target *t, struct fo_setting settings[FO_OPTION_COUNT]);

#endif
