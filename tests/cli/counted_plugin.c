/* A plug-in backend that counts: what it has given and not got back, in the file `counted` of the
 * working folder, as two numbers of 64 bits: blocks and bytes. */
#include <fcntl.h>
#include <freeonce/backend.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static uint64_t *counted;

static void count(int64_t blocks, size_t size)
{
    __atomic_fetch_add(&counted[0], (uint64_t)blocks, __ATOMIC_RELAXED);
    __atomic_fetch_add(&counted[1], (uint64_t)blocks * size, __ATOMIC_RELAXED);
}

static void *take(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    void *block = malloc(size);
    if (block != NULL)
        count(1, size);
    return block;
}

static void give_back(void *block, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    count(-1, size);
    free(block);
}

static int start(void)
{
    int fd = open("counted", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0 || ftruncate(fd, 4096) != 0)
        return 1;
    counted = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return counted == MAP_FAILED;
}

static const struct freeonce_backend backend = {
    .abi = FREEONCE_BACKEND_ABI,
    .struct_size = sizeof(struct freeonce_backend),
    .name = "counted",
    .alloc = take,
    .free = give_back,
    .start = start,
};

__attribute__((visibility("default"))) const struct freeonce_backend *freeonce_backend(uint32_t abi)
{
    return abi == FREEONCE_BACKEND_ABI ? &backend : NULL;
}
