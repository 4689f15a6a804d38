/* Plug-ins that cannot be used, one for each reason; FAULT_... chooses at compile time. */
#include <freeonce/backend.h>

#include <stdlib.h>

static void *take(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
#if defined(FAULT_NO_MEMORY)
    (void)size;
    return NULL;
#elif defined(FAULT_MISALIGNED)
    return (char *)malloc(size + 16) + 8;
#else
    return malloc(size);
#endif
}

__attribute__((unused)) static void give_back(void *block, size_t size, const char *file, int line)
{
    (void)size;
    (void)file;
    (void)line;
#if defined(FAULT_MISALIGNED)
    free((char *)block - 8);
#else
    free(block);
#endif
}

static int start(void)
{
#if defined(FAULT_START)
    return 1;
#else
    return 0;
#endif
}

static const struct freeonce_backend faulty = {
#if defined(FAULT_ABI)
    .abi = FREEONCE_BACKEND_ABI + 1,
#else
    .abi = FREEONCE_BACKEND_ABI,
#endif
#if defined(FAULT_SMALL)
    .struct_size = 8,
#else
    .struct_size = sizeof(struct freeonce_backend),
#endif
    .name = "faulty",
    .alloc = take,
#if !defined(FAULT_NO_FREE)
    .free = give_back,
#endif
    .start = start,
};

#if defined(FAULT_NO_ENTRY)
#define ENTRY some_other_function
const struct freeonce_backend *some_other_function(uint32_t abi);
#else
#define ENTRY freeonce_backend
#endif

const struct freeonce_backend *ENTRY(uint32_t abi)
{
#if defined(FAULT_REFUSES)
    return abi == 0 ? &faulty : NULL;
#else
    (void)abi;
    return &faulty;
#endif
}
