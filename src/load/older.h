/* OpenSSL 1.1: the library leaves it alone, in silence.  Only FREEONCE_REQUIRE=1 asks for more. */
#ifndef FO_LOAD_OLDER_H
#define FO_LOAD_OLDER_H

/* If OpenSSL 1.1 is loaded, end the process: for a process that has no other OpenSSL and runs with
 * FREEONCE_REQUIRE=1.  Else nothing happens. */
void fo_older_refuse(void);

#endif
