/* Objects whose free was put off: this process made them, its program freed them, and processes
 * that were forked meanwhile still use them (the SSL_CTX and the BIO_METHODs of a server that reads
 * its files anew, the SSL of one that forks for each connection). */
#ifndef FO_LOAD_OBJECTS_KEPT_H
#define FO_LOAD_OBJECTS_KEPT_H

#include "load/objects.h"

/* In a pool of the program's own (backend `host`), a free is meant for all processes: the program
 * knows that they share the memory.  But a worker that ends frees there, too, what it was forked
 * with.  So an SSL_CTX that another process may use is freed after this process has made one more
 * SSL_CTX or SSL: then it did not end, and the freed one was replaced. */

struct fo_kept {
    void *object;
    fo_object_function *function; /* frees it, */
    fo_object_function **slot;    /* and is called by this name, */
    uintptr_t caller;             /* by the code here */
    uint32_t connection;          /* major version of its OpenSSL; 0: it is none */
};

/* If processes live that were forked after so many forks (process/rows.h), the object is kept for
 * them, and true returned.  It is freed by the first fo_objects_kept_free() after they are gone.
 * When too many wait (1,024), it is not, except in a pool of the program's own: there false is
 * returned. */
bool fo_object_keep(const struct fo_kept *kept, uint32_t after);

/* The program freed an SSL_CTX of its ancestor's in a pool of its own.  False: too many wait. */
bool fo_object_keep_replaced(const struct fo_kept *kept);

/* This process has made an SSL_CTX or an SSL. */
void fo_objects_kept_made(void);

/* Free those that no process can use any more. */
void fo_objects_kept_free(void);

#endif
