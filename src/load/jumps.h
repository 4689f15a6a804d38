/* See jumps.c. */
#ifndef FO_LOAD_JUMPS_H
#define FO_LOAD_JUMPS_H

/* Look up the real functions now: in a signal handler that jumps, dlsym(3) is not safe. */
void fo_jumps_find(void);

#endif
