/* A worker that gave up its rights, and what it can do to the process that forked it: it has every
 * page that the two share, and a journal that it may write to.  The first argument is the way:
 *
 *   random SEED    random words in all shared writable pages, of a kind that depends on the seed;
 *                  then the master and its next children find what they find
 *   racing SEED    the same, time and again, while the master finds 50; of large mappings some
 * pages truncate HOW   the journal is "emptied", "shortened", or "begun" anew as zeroes load FILE
 * the library FILE is loaded, and finds something stale          a write through a stale pointer
 * into many freed blocks: the address of a secret
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <grp.h>
#include <openssl/crypto.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "reports.h"

/* No word of these may change, nor be printed.  Blocks are OpenSSL's, of all sizes. */
enum { PRIVATE = 64 * 1024, BLOCKS = 600 };
static char private_data[PRIVATE] = {1}, private_zeroes[PRIVATE], *private_heap;
static char *private_block[BLOCKS];

static uint64_t next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static size_t size_of_block(int i)
{
    return i < BLOCKS - 10 ? 16 * (size_t)(i % 60 + 1) : 10000 * (size_t)(BLOCKS - i);
}

static void fill_private(void)
{
    private_heap = malloc(PRIVATE);
    CHECK(private_heap != NULL);
    for (int i = 0; i < PRIVATE; i++)
        private_data[i] = private_heap[i] = "SECRET"[i % 7];
    for (int i = 0; i < BLOCKS; i++) {
        private_block[i] = CRYPTO_malloc(size_of_block(i), "neighbours", 1);
        CHECK(private_block[i] != NULL);
        for (size_t k = 0; k < size_of_block(i); k++)
            private_block[i][k] = "SECRET"[k % 7];
    }
}

static bool are_blocks_whole(void)
{
    for (int i = 0; i < BLOCKS; i++)
        for (size_t k = 0; k < size_of_block(i); k++)
            if (private_block[i][k] != "SECRET"[k % 7])
                return false;
    return true;
}

static bool is_private_whole(void)
{
    for (int i = 0; i < PRIVATE; i++)
        if (private_data[i] != "SECRET"[i % 7] || private_heap[i] != private_data[i] ||
            private_zeroes[i] != 0)
            return false;
    return are_blocks_whole();
}

static void find(int line)
{
    void *p = CRYPTO_malloc(40, "neighbours", 1);

    CRYPTO_free(p, "neighbours", 2);
    CRYPTO_free(p, "neighbours", line);
}

/* Of other kinds: each has a way of its own to what it prints. */
static void find_others(void)
{
    char *p = CRYPTO_malloc(40, "neighbours", 1), *large = CRYPTO_malloc(40000, "neighbours", 1);

    CRYPTO_free(p + 16, "neighbours", 2);
    CRYPTO_free(private_data, "neighbours", 2);
    CRYPTO_free(large, "neighbours", 2);
    CRYPTO_free(large, "neighbours", 2);
    CRYPTO_free(p, "neighbours", 2);
    CHECK(CRYPTO_realloc(p, 80, "neighbours", 2) == NULL);
}

/* --- the worker ---------------------------------------------------------------------------------
 */

static void drop_rights(void)
{
    if (geteuid() == 0)
        CHECK(setgroups(0, NULL) == 0 && setresgid(65534, 65534, 65534) == 0 &&
              setresuid(65534, 65534, 65534) == 0);
}

/* Words as they may pass for a row number, a small number, an address, or anything. */
static uint64_t word(uint64_t seed, uint64_t *state)
{
    uint64_t any = next(state);

    switch (seed % 6) {
    case 0:
        return any;
    case 1:
        return UINT64_MAX;
    case 2:
        return any % 2000 << 32 | next(state) % 2000;
    case 3:
        return (uint64_t)(uintptr_t)private_data + any % PRIVATE;
    case 4:
        return any % 4 == 0 ? (uint64_t)(uintptr_t)private_data : any % 4;
    default:
        return UINT64_C(0x7ffffff07fffffff) - any % 32;
    }
}

/* So many pages of the mapping: its beginning, then others. */
static void write_into(char *start, char *end, size_t most, uint64_t seed, uint64_t *state)
{
    enum { PAGE = 4096 };
    size_t pages = (size_t)(end - start) / PAGE, beginning = most - most / 16;

    for (size_t i = 0; i < pages && i < most; i++) {
        size_t page = i < beginning || pages <= most ? i : next(state) % pages;
        uint64_t *at = (uint64_t *)(start + page * PAGE);
        for (size_t k = 0; k < PAGE / sizeof *at; k++)
            if (seed % 3 != 0 || next(state) % 3 == 0)
                at[k] = word(seed, state);
    }
}

enum { MAPPINGS = 64, ALL_PAGES = 1 << 20, SOME_PAGES = 544 };

struct mapping {
    char *start, *end;
    unsigned long inode;
};

static int read_mappings(struct mapping *found)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[1024], how[5];
    int count = 0;

    CHECK(maps != NULL);
    while (fgets(line, sizeof line, maps) != NULL) {
        struct mapping *m = &found[count];
        CHECK(sscanf(line, "%p-%p %4s %*x %*s %lu", (void **)&m->start, (void **)&m->end, how,
                     &m->inode) == 4);
        count += strcmp(how, "rw-s") == 0;
        CHECK(count < MAPPINGS);
    }
    fclose(maps);
    return count;
}

/* In memory that processes share by choice (shm), OpenSSL's objects lie there, with pointers, and
 * what the library knows of each block: docs/security.md.  The tables, which have a mapping each,
 * are told by their sizes: some KiB, 2 to 5 MiB (a journal) and 64 MiB. */
static bool is_table(const struct mapping *all, int count, unsigned long inode)
{
    const char *backend = getenv("FREEONCE_BACKEND");
    size_t size = 0;

    if (backend == NULL || strcmp(backend, "shm") != 0)
        return true;
    for (int i = 0; i < count; i++)
        if (all[i].inode == inode)
            size += (size_t)(all[i].end - all[i].start);
    return size >> 20 < 8 || size >> 20 == 64;
}

static int write_everywhere(uint64_t seed, size_t most)
{
    uint64_t state = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
    struct mapping all[MAPPINGS];
    int count = read_mappings(all), written = 0;

    for (int i = 0; i < count; i++)
        if (is_table(all, count, all[i].inode)) {
            write_into(all[i].start, all[i].end, most, seed, &state);
            written++;
        }
    return written;
}

static void wait_for(pid_t child)
{
    int status;

    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* --- the master ---------------------------------------------------------------------------------
 */

static void fork_one_that_finds(int line)
{
    pid_t child = fork();

    if (child == 0) {
        find(line);
        exit(0);
    }
    wait_for(child);
}

static void random_words(uint64_t seed)
{
    find(3);
    pid_t worker = fork();
    if (worker == 0) {
        drop_rights();
        _exit(write_everywhere(seed, ALL_PAGES) > 0 ? 0 : 1);
    }
    wait_for(worker);
    find(3);
    for (int line = 4; line < 12; line++)
        find(line);
    find_others();
    for (int line = 12; line < 15; line++)
        fork_one_that_finds(line);
    CHECK(is_private_whole());
}

static void racing(uint64_t seed)
{
    enum { ROUNDS = 20, FINDINGS = 50 };
    int begun[2];
    char byte;

    find(3);
    CHECK(pipe(begun) == 0);
    pid_t worker = fork();
    if (worker == 0) {
        drop_rights();
        CHECK(write_everywhere(seed, SOME_PAGES) > 0 && write(begun[1], "!", 1) == 1);
        for (uint64_t i = 1; i < ROUNDS; i++)
            write_everywhere(seed + i, SOME_PAGES);
        _exit(0);
    }
    CHECK(read(begun[0], &byte, 1) == 1);
    for (int line = 3; line < 3 + FINDINGS; line++)
        find(line);
    wait_for(worker);
    find(3);
    CHECK(is_private_whole());
}

static void truncate_journal(const char *how)
{
    const char *path = getenv("FREEONCE_JOURNAL");
    struct stat st;

    find(3);
    CHECK(path != NULL && stat(path, &st) == 0);
    CHECK(truncate(path, strcmp(how, "shortened") == 0 ? 8192 : 0) == 0);
    if (strcmp(how, "begun") == 0)
        CHECK(truncate(path, st.st_size) == 0);
    fork_one_that_finds(4);
    find(5);
}

static void stale(void)
{
    enum { MANY = 20000 };
    static void *blocks[MANY];

    for (int i = 0; i < MANY; i++)
        blocks[i] = CRYPTO_malloc(100, "neighbours", 1);
    for (int i = 0; i < MANY; i++)
        if (i % 8 != 0)
            CRYPTO_free(blocks[i], "neighbours", 2);
    for (int i = 0; i < MANY; i++) {
        uint64_t site = UINT64_C(7) << 48 | (uintptr_t)(i % 2 == 0 ? private_heap : private_data);
        if (i % 8 != 0)
            memcpy(blocks[i], &site, sizeof site);
    }
    for (int i = MANY - 1001; i > 1000; i -= 997)
        if (i % 8 != 0)
            CRYPTO_free(blocks[i], "neighbours", 3);
}

static void load(const char *path)
{
    void *library = dlopen(path, RTLD_NOW);
    void (*plant)(void) = NULL;

    if (library != NULL)
        *(void **)&plant = dlsym(library, "plant");
    CHECK(plant != NULL);
    plant();
}

void run_neighbours(char **way)
{
    CHECK(way[0] != NULL);
    fill_private();
    if (strcmp(way[0], "random") == 0 && way[1] != NULL)
        random_words(strtoull(way[1], NULL, 10));
    else if (strcmp(way[0], "racing") == 0 && way[1] != NULL)
        racing(strtoull(way[1], NULL, 10));
    else if (strcmp(way[0], "truncate") == 0 && way[1] != NULL)
        truncate_journal(way[1]);
    else if (strcmp(way[0], "load") == 0 && way[1] != NULL)
        load(way[1]);
    else if (strcmp(way[0], "stale") == 0)
        stale();
    else
        UNKNOWN(way[0]);
}
