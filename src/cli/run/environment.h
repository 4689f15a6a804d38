/* The environment of the command of a run: LD_PRELOAD and the options. */
#ifndef FO_CLI_RUN_ENVIRONMENT_H
#define FO_CLI_RUN_ENVIRONMENT_H

#include <stdbool.h>

enum { FO_RUN_SETTINGS_MAX = 32 };

struct fo_run_settings {
    bool ci, leaks, require;
    const char *library;                  /* NULL: the one that belongs to this command */
    const char *set[FO_RUN_SETTINGS_MAX]; /* NAME=VALUE, without FREEONCE_ */
    int set_count;
};

/* One --set, NAME=VALUE.  False: there are too many. */
bool fo_run_set(struct fo_run_settings *settings, const char *text);

/* A new environment: that of this process with LD_PRELOAD, the journal and the settings.  --set
 * goes before the variables of this process, and these before the defaults of --ci.  FO_EXIT_OK, or
 * an exit status after a message: a library is missing, or an option is wrong and --require was
 * given.  Free it in any case.  name: of the socket of excluded.h; "": there is none. */
int fo_run_environment(char ***environment, const struct fo_run_settings *settings,
                       const char *journal, const char *name);
void fo_run_environment_free(char **environment);

#endif
