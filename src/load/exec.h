/* execve(2) and related functions, which the journal notes. */
#ifndef FO_LOAD_EXEC_H
#define FO_LOAD_EXEC_H

/* Look up the real functions.  Called before the program runs. */
void fo_exec_find(void);

#endif
