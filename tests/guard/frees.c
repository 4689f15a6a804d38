/* Wrong frees of guarded blocks, after which the program continues; damage that a free finds. */
#include "guard.h"

#include <string.h>

static char *block(size_t size)
{
    char *p = ALLOC("alloc", size);

    CHECK(is_guarded(p, size));
    memset(p, 'b', size);
    return p;
}

static void churn(int count)
{
    for (int i = 0; i < count; i++)
        OPENSSL_free(OPENSSL_malloc(48));
}

static void double_free_after(int count)
{
    char *p = block(64);

    FREE("first", p);
    churn(count);
    FREE("now", launder(p));
}

static void double_free(void)
{
    double_free_after(0);
}

/* After more frees than there are tombstones (FREEONCE_TOMBSTONES=64), but fewer than slots. */
static void double_free_late(void)
{
    double_free_after(3000);
}

/* Other blocks have used the pages since: the tombstones have the free. */
static void double_free_reused(void)
{
    char *p = block(64);

    FREE("first", p);
    churn(100); /* FREEONCE_GUARD_MAX=16 makes 64 slots */
    FREE("now", launder(p));
}

static void inside(void)
{
    char *p = block(64);

    FREE("now", launder(p + 16));
    CHECK(p[0] == 'b' && p[63] == 'b');
    OPENSSL_free(p);
}

static void inside_freed(void)
{
    char *p = block(64);

    FREE("first", p);
    FREE("now", launder(p + 24));
}

static void realloc_freed(void)
{
    char *p = block(64);

    FREE("first", p);
    fact("now", __LINE__ + 1);
    CHECK(OPENSSL_realloc(launder(p), 100) == NULL);
}

static void guard_page(void)
{
    char *p = block(64);

    FREE("now", launder(p + 64));
    OPENSSL_free(p);
}

static void damaged_header(void)
{
    char *p = block(64);

    memset(launder(p - 8), 'd', 8);
    FREE("now", p);
    CHECK(p[63] == 'b');
}

/* Between the end of 24 bytes and that of the page. */
static void slack(void)
{
    char *p = ALLOC("alloc", 24); /* on any backend: scripts/detection runs it, too */

    p[25] ^= 1; /* its value is random: a fixed one would be no change, once in 256 runs */
    FREE("now", p);
}

const struct guard_case free_cases[] = {
    {"double-free", double_free},
    {"double-free-late", double_free_late},
    {"double-free-reused", double_free_reused},
    {"inside", inside},
    {"inside-freed", inside_freed},
    {"realloc-freed", realloc_freed},
    {"guard-page", guard_page},
    {"damaged-header", damaged_header},
    {"slack", slack},
    {NULL, NULL},
};
