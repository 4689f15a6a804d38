/* See jumps.c. */
#ifndef FO_LOAD_JUMPS_H
#define FO_LOAD_JUMPS_H

/* Find the real functions: a signal handler that jumps must not have to look for them. */
void fo_jumps_find(void);

#endif
