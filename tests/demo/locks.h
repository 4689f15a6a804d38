/* OpenSSL's locks lie in the pool with everything else it allocates, and are made for one process.
 * Kamailio answers with a pthread_rwlock_init and a pthread_mutex_init of its own that make every
 * lock process-shared, and so does this server: without, its workers wait for each other for ever.
 */
#ifndef SIPD_LOCKS_H
#define SIPD_LOCKS_H

#include <stdbool.h>

/* false leaves locks as their makers want them. To be called before OpenSSL makes any. Default:
 * true. */
void locks_make_shared(bool yes);

#endif
