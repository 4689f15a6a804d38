/* The results of a library at its start: witness.c, and witness_next.c behind it. */
#ifndef WITNESS_H
#define WITNESS_H

const char *witness_of_constructor(void);
const char *witness_name(void);    /* two libraries define it */
const char *witness_of_next(void); /* the result of dlsym(RTLD_NEXT) in the first of them */

#endif
