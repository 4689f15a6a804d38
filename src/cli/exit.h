/* The exit statuses of the command: those of sysexits.h, so that each has one meaning in all
 * subcommands.  freeonce(1) lists them. */
#ifndef FO_CLI_EXIT_H
#define FO_CLI_EXIT_H

enum fo_exit {
    FO_EXIT_OK = 0,
    FO_EXIT_WARNINGS = 1,         /* of doctor: it can be guarded, and something may disturb that */
    FO_EXIT_FAILURES = 2,         /* of doctor: it is not guarded, or cannot be */
    FO_EXIT_USAGE = 64,           /* EX_USAGE: the command line is wrong */
    FO_EXIT_DATA = 65,            /* EX_DATAERR: an input is damaged, or of another kind */
    FO_EXIT_NO_INPUT = 66,        /* EX_NOINPUT: an input cannot be opened */
    FO_EXIT_SOFTWARE = 70,        /* EX_SOFTWARE: freeonce itself is broken, or has no memory */
    FO_EXIT_OS = 71,              /* EX_OSERR: the system refused something */
    FO_EXIT_CANNOT_WRITE = 73,    /* EX_CANTCREAT: an output cannot be written */
    FO_EXIT_NO_PERMISSION = 77,   /* EX_NOPERM: this needs another user */
    FO_EXIT_CONFIG = 78,          /* EX_CONFIG: a program that had to be guarded cannot be */
    FO_EXIT_FINDINGS = 99,        /* there were findings; --exit-code changes it */
    FO_EXIT_RUN_FAILED = 125,     /* of run: freeonce failed before the command was started */
    FO_EXIT_CANNOT_EXECUTE = 126, /* of run: the command was found and cannot be executed */
    FO_EXIT_NOT_FOUND = 127,      /* of run: the command was not found */
    FO_EXIT_SIGNAL = 128,         /* of run: plus the signal that ended the command */
};

#endif
