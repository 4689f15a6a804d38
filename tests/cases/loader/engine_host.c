/* A program with a static OpenSSL inside that exports nothing, and loads a dynamic engine, which is
 * linked to the shared libcrypto.  `engine_host ENGINE [HOW]`: pool registers functions of the
 * program with the static one; see end_early() for the others. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/engine.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"

/* A pool that must get its own blocks only: each starts with a mark. */
enum { MARK = 16 };
static int asked, wrong;

static void *take(size_t size, const char *file, int line)
{
    char *p = malloc(MARK + size);

    (void)file;
    (void)line;
    asked++;
    if (p == NULL)
        return NULL;
    memset(p, 'p', MARK);
    return p + MARK;
}

static void give(void *p, const char *file, int line)
{
    static const char mark[MARK + 1] = "pppppppppppppppp";
    char *start = (char *)((uintptr_t)p - MARK);

    (void)file;
    (void)line;
    if (p == NULL)
        return;
    if (memcmp(start, mark, MARK) != 0) {
        wrong++;
        return;
    }
    memset(start, 0, MARK);
    free(start);
}

static void *change(void *p, size_t size, const char *file, int line)
{
    void *moved = take(size, file, line);

    if (moved != NULL && p != NULL)
        memcpy(moved, p, size < 40 ? size : 40); /* this program's blocks have 40 bytes */
    give(p, file, line);
    return moved;
}

static ENGINE *load(const char *path)
{
    ENGINE *engine = ENGINE_by_id("dynamic");

    if (engine == NULL || !ENGINE_ctrl_cmd_string(engine, "SO_PATH", path, 0) ||
        !ENGINE_ctrl_cmd_string(engine, "LOAD", NULL, 0)) {
        fprintf(stderr, "%s cannot be loaded\n", path);
        exit(1);
    }
    return engine;
}

static void *ask(ENGINE *engine, int command, void *block)
{
    ENGINE_ctrl(engine, command, 0, &block, NULL);
    return block;
}

/* The program and the engine free blocks of each other. */
static void exchange(ENGINE *engine)
{
    for (int i = 0; i < 100; i++) {
        void *mine = CRYPTO_malloc(40, "engine_host.c", 1);
        CRYPTO_free(ask(engine, EXCHANGE, mine), "engine_host.c", 2);
    }
    puts("exchanged 100");
}

static void print_functions(ENGINE *engine)
{
    struct functions its = {NULL, NULL, NULL}, mine;

    CRYPTO_get_mem_functions(&mine.allocate, &mine.move, &mine.release);
    ENGINE_ctrl(engine, FUNCTIONS, 0, &its, NULL);
    printf("functions %s\n",
           its.allocate == mine.allocate && its.move == mine.move && its.release == mine.release
               ? "the program's"
               : "others");
}

/* The block that the engine allocated before it was bound. */
static void end_early(ENGINE *engine, const char *how)
{
    if (strcmp(how, "freed-here") == 0)
        CRYPTO_free(ask(engine, EARLY, NULL), "engine_host.c", 3);
    else if (strcmp(how, "moved-here") == 0)
        CRYPTO_free(CRYPTO_realloc(ask(engine, EARLY, NULL), 4000, "engine_host.c", 4),
                    "engine_host.c", 5);
    else if (strcmp(how, "freed-there") == 0)
        ask(engine, EARLY_FREED, NULL);
    else if (strcmp(how, "freed-twice") == 0) {
        printf("block %p\n", ask(engine, EARLY, NULL));
        ask(engine, EARLY_FREED, NULL);
        ask(engine, EARLY_FREED, NULL);
    } else if (strcmp(how, "moved-there") == 0)
        CRYPTO_free(ask(engine, EARLY_MOVED, NULL), "engine_host.c", 6);
    else
        return;
    printf("early %s\n", how);
}

int main(int argc, char **argv)
{
    const char *how = argc > 2 ? argv[2] : "";

    if (argc < 2)
        return 2;
    setvbuf(stdout, NULL, _IONBF, 0);
    if (strcmp(how, "pool") == 0)
        printf("answer %d\n", CRYPTO_set_mem_functions(take, change, give));
    ENGINE *engine = load(argv[1]);
    print_functions(engine);
    exchange(engine);
    end_early(engine, how);
    ENGINE_free(engine);
    if (strcmp(how, "pool") == 0)
        printf("pool %s\n", asked >= 300 && wrong == 0 ? "in charge" : "has seen foreign blocks");
    return 0;
}
