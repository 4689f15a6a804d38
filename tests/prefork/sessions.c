/* A ring of the sessions that clients may offer, each once. */
#include "traffic.h"

#include <pthread.h>

enum { RING = 64 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct made ring[RING];
static unsigned first, used;

void sessions_put(struct made made)
{
    struct made dropped = {NULL, 0};

    pthread_mutex_lock(&lock);
    if (used == RING) {
        dropped = ring[first];
        first = (first + 1) % RING;
        used--;
    }
    ring[(first + used++) % RING] = made;
    pthread_mutex_unlock(&lock);
    SSL_SESSION_free(dropped.session);
}

struct made sessions_take(void)
{
    struct made made = {NULL, 0};

    pthread_mutex_lock(&lock);
    if (used != 0) {
        made = ring[first];
        first = (first + 1) % RING;
        used--;
    }
    pthread_mutex_unlock(&lock);
    return made;
}
