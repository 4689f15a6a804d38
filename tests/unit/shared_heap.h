/* For tests of backend shm: blocks, a check of the whole heap, children that may end in any way. */
#ifndef FO_TESTS_SHARED_HEAP_H
#define FO_TESTS_SHARED_HEAP_H

#include <string.h>

#include "block/hooks.h"
#include "fixture.h"
#include "process/process.h"
#include "whole_heap.h"

enum { SMALL = FIXTURE_TSAN || FIXTURE_ASAN };

#define start(...) fixture_start("BACKEND=shm", "SHM_SIZE=256M", __VA_ARGS__)

static inline void *block(size_t size)
{
    void *p = fo_malloc(size, "new.c", 1);

    assert_non_null(p);
    return memset(p, 7, size);
}

static inline void fork_and_wait(void (*body)(void *), void *argument)
{
    int status;

    fixture_fork_any(body, argument, &status);
}

#endif
