/* Does a library next to OpenSSL 3 still get the functions of its own libcrypto? */
#ifndef OTHER_USER_H
#define OTHER_USER_H

/* "its own", or which function went astray. */
const char *other_use(void);

/* The first part of it: NULL, or which function went astray. */
const char *other_reach(void);

#endif
