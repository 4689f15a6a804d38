/* For tests of backends arena and shm: check that the heap is whole, and free many blocks. */
#ifndef FO_TESTS_WHOLE_HEAP_H
#define FO_TESTS_WHOLE_HEAP_H

#include "block/hooks.h"
#include "block/walk.h"
#include "fixture.h"

static inline struct fo_walk walk(void)
{
    struct fo_walk w;

    assert_true(fo_blocks_walk(&w, NULL, NULL));
    if (w.wrong != 0)
        print_error("%s: %p\n", w.what, (void *)w.where);
    assert_int_equal(w.wrong, 0);
    return w;
}

static inline void free_blocks(void **blocks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        fo_free(blocks[i], "free.c", 1);
}

#endif
