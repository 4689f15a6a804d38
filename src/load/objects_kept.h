/* Objects whose free is put off: this process made them, its program freed them, and processes that
 * were forked between still use them (the SSL_CTX and the BIO_METHODs of a server that reloads its
 * files, the SSL of a server that forks for each connection). */
#ifndef FO_LOAD_OBJECTS_KEPT_H
#define FO_LOAD_OBJECTS_KEPT_H

#include "load/objects.h"

/* In a pool of the program's own (backend `host`), the program frees an object for all processes:
 * it knows that they share the memory.  But a worker that ends frees the objects that it was forked
 * with, too.  So an SSL_CTX that another process may use is freed only after this process has made
 * another SSL_CTX or SSL: then the process does not end, and the SSL_CTX was replaced. */

struct fo_kept {
    void *object;
    fo_object_function *function; /* frees it, */
    fo_object_function **slot;    /* and is called by this name, */
    uintptr_t caller;             /* by the code here */
    uint32_t connection;          /* of an SSL: major version of its OpenSSL; else 0 */
};

/* If processes live that were forked after this number of forks (process/rows.h), keep the object
 * for them and return true.  The first fo_objects_kept_free() after their end frees it.  If none of
 * the 1,024 places is free, it is never freed; in a pool of the program's own false is returned. */
bool fo_object_keep(const struct fo_kept *kept, uint32_t after);

/* The program freed an SSL_CTX of an ancestor in a pool of its own.  False: no place is free. */
bool fo_object_keep_replaced(const struct fo_kept *kept);

/* This process has made an SSL_CTX or an SSL. */
void fo_objects_kept_count_made(void);

/* Free the kept objects that no process can use any more. */
void fo_objects_kept_free(void);

#endif
