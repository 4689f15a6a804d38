/* FREEONCE_LEAKS: what of OpenSSL's memory has a process lost, when it ends by exit(3)? */
#ifndef FO_LOAD_LEAKS_H
#define FO_LOAD_LEAKS_H

/* Look when all else of exit(3) is done.  To be called first, from the library's constructor. */
void fo_leaks_begin(void);

#endif
