/* Are the pages of OpenSSL's blocks left out of core dumps (FREEONCE_DUMP=0) and locked
 * (FREEONCE_LOCK=1)?  The answer is in /proc/self/smaps. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault.h"

enum { BLOCKS = 3 };

static char *blocks[BLOCKS];

/* The flags of the mapping in which `p` lies. */
static void find_flags(const void *p, char *flags, size_t size)
{
    FILE *in = fopen("/proc/self/smaps", "re");
    char line[1000];
    bool inside = false;

    CHECK(in != NULL);
    *flags = '\0';
    while (*flags == '\0' && fgets(line, sizeof line, in) != NULL) {
        unsigned long start, end;
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
            inside = (uintptr_t)p - start < end - start;
        else if (inside && strncmp(line, "VmFlags:", 8) == 0)
            snprintf(flags, size, "%s", line + 8);
    }
    fclose(in);
}

static bool is_set(const char *name, const char *value)
{
    const char *set = getenv(name);

    return set != NULL && strcmp(set, value) == 0;
}

static void check_place(const char *p, size_t size)
{
    char flags[1000];

    for (const char *at = p; at < p + size; at += 1000) {
        find_flags(at, flags, sizeof flags);
        if (is_set("FREEONCE_DUMP", "0") != (strstr(flags, " dd") != NULL))
            fail("block of %zu bytes at %p, dumps: %s", size, (const void *)p, flags);
        if (is_set("FREEONCE_LOCK", "1") != (strstr(flags, " lo") != NULL))
            fail("block of %zu bytes at %p, lock: %s", size, (const void *)p, flags);
    }
}

static const size_t sizes[BLOCKS] = {40, 3000, 200000};

static void allocate(void)
{
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = OPENSSL_malloc(sizes[i]);
        CHECK(blocks[i] != NULL);
        memset(blocks[i], 'x', sizes[i]);
    }
}

static void check_blocks(void)
{
    for (int i = 0; i < BLOCKS; i++)
        check_place(blocks[i], i < 2 ? sizes[i] : 3000);
}

static void check_and_free(void)
{
    check_blocks();
    for (int i = 0; i < BLOCKS; i++)
        OPENSSL_free(blocks[i]);
}

static int mappings(void)
{
    FILE *in = fopen("/proc/self/maps", "re");
    int lines = 0;

    CHECK(in != NULL);
    for (int c; (c = getc(in)) != EOF;)
        lines += c == '\n';
    fclose(in);
    return lines;
}

/* The mappings of freed blocks are merged: the kernel limits the number of mappings. */
static void check_mappings(void)
{
    int before = mappings();

    for (int i = 0; i < 20; i++) {
        allocate();
        check_and_free();
    }
    CHECK(mappings() < before + 10);
}

/* The pages of new blocks, of blocks in reused memory, and in a child those of its parent. */
static void check_pages(void)
{
    allocate();
    check_and_free();
    allocate();
    pid_t child = fork();
    if (child == 0) {
        OPENSSL_free(OPENSSL_malloc(20));
        check_blocks();
        allocate();
        check_and_free();
        _exit(0);
    }
    wait_for(child);
    check_and_free();
    check_mappings();
    check_openssl();
}

const struct fault page_faults[] = {{"pages", check_pages}, {NULL, NULL}};
