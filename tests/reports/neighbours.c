/* A worker that gave up its rights, and what it can do to the process that forked it: it has every
 * page that the two share, and a journal that it may write to.  The first argument is the way:
 *
 *   random SEED    random words in all shared writable pages, of a kind that depends on the seed;
 *                  then the master finds what it finds
 *   racing SEED    the same, while the master finds 50
 *   truncate HOW   the journal is "emptied", "shortened", or "begun" anew as zeroes
 *   load FILE      the library FILE is loaded, and finds something
 *   stale          a write through a stale pointer into many freed blocks: the address of a secret
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

/* No word of these may change, nor be printed. */
enum { PRIVATE = 64 * 1024 };
static char private_data[PRIVATE] = {1}, private_zeroes[PRIVATE], *private_heap;

static uint64_t next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void fill_private(void)
{
    for (int i = 0; i < PRIVATE; i++)
        private_data[i] = private_heap[i] = "SECRET"[i % 7];
}

static bool is_private_whole(void)
{
    for (int i = 0; i < PRIVATE; i++)
        if (private_data[i] != "SECRET"[i % 7] || private_heap[i] != private_data[i] ||
            private_zeroes[i] != 0)
            return false;
    return true;
}

static void find(int line)
{
    void *p = CRYPTO_malloc(40, "neighbours", 1);

    CRYPTO_free(p, "neighbours", 2);
    CRYPTO_free(p, "neighbours", line);
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

/* The beginning of each mapping, and some pages of the rest: the depot of stacks has 64 MiB. */
static void write_into(char *start, char *end, uint64_t seed, uint64_t *state)
{
    enum { PAGE = 4096, BEGINNING = 512, SOME = 32 };
    size_t pages = (size_t)(end - start) / PAGE;

    for (size_t i = 0; i < pages && i < BEGINNING + SOME; i++) {
        size_t page = i < BEGINNING ? i : next(state) % pages;
        uint64_t *at = (uint64_t *)(start + page * PAGE);
        for (size_t k = 0; k < PAGE / sizeof *at; k++)
            if (seed % 3 != 0 || next(state) % 3 == 0)
                at[k] = word(seed, state);
    }
}

static int write_everywhere(uint64_t seed)
{
    uint64_t state = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[1024], *start, *end;
    int found = 0;

    CHECK(maps != NULL);
    while (fgets(line, sizeof line, maps) != NULL)
        if (sscanf(line, "%p-%p rw-s", (void **)&start, (void **)&end) == 2 &&
            strstr(line, " rw-s ") != NULL) {
            write_into(start, end, seed, &state);
            found++;
        }
    fclose(maps);
    return found;
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
        _exit(write_everywhere(seed) > 0 ? 0 : 1);
    }
    wait_for(worker);
    find(3);
    for (int line = 4; line < 12; line++)
        find(line);
    fork_one_that_finds(12);
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
        CHECK(write_everywhere(seed) > 0 && write(begun[1], "!", 1) == 1);
        for (uint64_t i = 1; i < ROUNDS; i++)
            write_everywhere(seed + i);
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
    enum { BLOCKS = 20000 };
    static void *blocks[BLOCKS];

    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = CRYPTO_malloc(100, "neighbours", 1);
    for (int i = 0; i < BLOCKS; i++)
        if (i % 8 != 0)
            CRYPTO_free(blocks[i], "neighbours", 2);
    for (int i = 0; i < BLOCKS; i++) {
        uint64_t site = UINT64_C(7) << 48 | (uintptr_t)(i % 2 == 0 ? private_heap : private_data);
        if (i % 8 != 0)
            memcpy(blocks[i], &site, sizeof site);
    }
    for (int i = BLOCKS - 1001; i > 1000; i -= 997)
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
    private_heap = malloc(PRIVATE);
    CHECK(way[0] != NULL && private_heap != NULL);
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
