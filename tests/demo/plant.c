/* Who frees the planted block, and when? Three functions, so that the allocation, the free and the
 * second free stand on three source lines for the report to name. Called by sipd.c and worker.c. */
#include "plant.h"
#include "pool.h"

#include <openssl/crypto.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

enum { PATIENCE_SECONDS = 2 };

/* In the pool: the workers must agree on whose turn it is. */
struct plant {
    void *block;
    atomic_int arrived; /* connections so far */
    atomic_int freed;   /* how often */
};

static struct plant *plant;

static void allocate(void)
{
    plant->block = OPENSSL_malloc(1000);
}

static void free_first(void)
{
    OPENSSL_free(plant->block);
}

static void free_again(void)
{
    OPENSSL_free(plant->block);
}

int plant_prepare(void)
{
    plant = pool_malloc(sizeof *plant, __FILE__, __LINE__);
    if (plant == NULL)
        return -1;
    atomic_init(&plant->arrived, 0);
    atomic_init(&plant->freed, 0);
    allocate();
    return plant->block != NULL ? 0 : -1;
}

static void wait_for(atomic_int *count, int wanted)
{
    time_t deadline = time(NULL) + PATIENCE_SECONDS;
    while (atomic_load(count) < wanted && time(NULL) < deadline)
        sched_yield();
}

/* The two meet, and neither goes on before both have freed. Otherwise a handshake or two would come
 * in between, the block might be handed out anew, and the second free would hit whoever has it
 * then. */
void plant_on_connection(void)
{
    switch (atomic_fetch_add(&plant->arrived, 1)) {
    case 0:
        wait_for(&plant->arrived, 2);
        free_first();
        atomic_store(&plant->freed, 1);
        wait_for(&plant->freed, 2);
        break;
    case 1:
        wait_for(&plant->freed, 1);
        free_again();
        atomic_store(&plant->freed, 2);
        break;
    default:
        break;
    }
}
