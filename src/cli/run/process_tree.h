/* Running a command and all that descends from it, transparently: signals, terminal, status. */
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

/* Run command[0], looked up in PATH, in environment[].  When it has ended its descendants, those
 * that became daemons too, may go on for `patience` seconds; negative: for ever.  Signals that are
 * sent to us meanwhile go to the command.  What cannot be done is said. */
struct fo_tree_end fo_tree_run(char *const *command, char *const *environment, double patience);

#endif
