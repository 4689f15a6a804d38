/* Models made by hand, for tests of what the command does with findings. */
#ifndef TESTS_CLI_MADE_H
#define TESTS_CLI_MADE_H

#include "cli/model/model.h"

enum made {
    MADE_EMPTY,       /* no finding, one guarded process */
    MADE_ONE,         /* everything known, with stacks */
    MADE_THREE,       /* two programs, three kinds, one with a count */
    MADE_SUPPRESSED,  /* as MADE_THREE, the first one suppressed */
    MADE_UNKNOWN,     /* two findings of which hardly anything is known */
    MADE_NASTY,       /* strings that mean something to some format */
    MADE_UNPROTECTED, /* no finding, and processes that were not guarded */
    MADE_HOSTILE,     /* every string from outside is HTML, or 10,000 bytes long */
    MADE_MANY,        /* as many findings and processes as a journal holds */
    MADES,
};

extern const char *const made_names[MADES];

/* All of it is constant or static: the next call makes it invalid. */
void made_model(struct fo_model *model, enum made which);

#endif
