/* OpenSSL 1.1: the library does not guard it, without a message, and a journal counts such
 * processes.  With FREEONCE_REQUIRE=1 the process is ended. */
#ifndef FO_LOAD_OLDER_H
#define FO_LOAD_OLDER_H

/* Called in a process that has no other OpenSSL, and has a journal or FREEONCE_REQUIRE=1.  If
 * OpenSSL 1.1 is loaded, count the process, or end it if FREEONCE_REQUIRE=1. */
void fo_older_check(void);

#endif
