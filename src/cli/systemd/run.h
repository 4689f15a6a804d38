/* Run systemctl, without a shell, and keep its output. */
#ifndef FO_CLI_SYSTEMD_RUN_H
#define FO_CLI_SYSTEMD_RUN_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/exit.h"

enum { FO_RUN_TOO_MUCH = -1 };

struct fo_output {
    char *text, *errors; /* stdout and stderr, each with a NUL at its end; NULL: nothing */
    size_t length;
};

/* The exit status (FO_EXIT_NOT_FOUND: there is no such program; 128+n: signal n), or
 * FO_RUN_TOO_MUCH if stdout has more than `limit` bytes. */
int fo_run_program(const char *const *command, size_t limit, struct fo_output *output);
void fo_output_free(struct fo_output *output);

/* Is systemd the init of this machine?  The check of sd_booted(3). */
bool fo_systemd_is_running(void);

#endif
