/* execve(2) and its kin, of which the journal takes note. */
#ifndef FO_LOAD_EXEC_H
#define FO_LOAD_EXEC_H

/* Find the real functions.  Called before the program runs. */
void fo_exec_find(void);

#endif
