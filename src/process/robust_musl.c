/* musl tells the kernel of a thread's robust mutexes when the thread first tries one; glibc does so
 * when it makes the thread.  See base/libc.h; called by life.c, before it asks the kernel. */
#include <pthread.h>

#include "base/libc.h"

void fo_libc_watch_thread(void)
{
    pthread_mutexattr_t how;
    pthread_mutex_t mutex;

    pthread_mutexattr_init(&how);
    if (pthread_mutexattr_setrobust(&how, PTHREAD_MUTEX_ROBUST) == 0 &&
        pthread_mutex_init(&mutex, &how) == 0 && pthread_mutex_trylock(&mutex) == 0)
        pthread_mutex_unlock(&mutex);
    pthread_mutexattr_destroy(&how);
}
