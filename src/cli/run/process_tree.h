/* Runs a command and its descendants as without freeonce: signals, terminal, exit status. */
#ifndef FO_CLI_RUN_PROCESS_TREE_H
#define FO_CLI_RUN_PROCESS_TREE_H

#include <stdbool.h>
#include <stddef.h>

/* A process that a signal ended. */
struct fo_tree_killed {
    unsigned pid;
    int signal;
};

struct fo_tree_end {
    bool started;
    int signal; /* that ended the command; 0: none did */
    int status; /* of the command, 128+n for a signal; or, not started, an exit status of exit.h */
    double seconds;
    bool left;                     /* some descendants are still running */
    struct fo_tree_killed *killed; /* the command and its orphans; of malloc(3) */
    size_t killed_count;
};

/* Run command[0], searched in PATH, with environment[].  After its end, wait for its descendants,
 * daemons included, for `patience` seconds; negative: for ever.  Signals that are sent to the
 * launcher meanwhile are forwarded to the command.  Errors are printed. */
struct fo_tree_end fo_tree_run(char *const *command, char *const *environment, double patience);

#endif
