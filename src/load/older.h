/* OpenSSL 1.1: the library leaves it alone, in silence, and a journal counts such processes.  Only
 * FREEONCE_REQUIRE=1 asks for more. */
#ifndef FO_LOAD_OLDER_H
#define FO_LOAD_OLDER_H

/* For a process that has no other OpenSSL, and a journal or FREEONCE_REQUIRE=1.  If OpenSSL 1.1 is
 * loaded, the process is counted, or with FREEONCE_REQUIRE=1 ended. */
void fo_older_check(void);

#endif
