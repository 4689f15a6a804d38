/* The memory of a model, which is freed with it, and its strings.  These are cleaned here, so that
 * every output may rely on UTF-8 without control characters. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/model/clean.h"
#include "cli/exit.h"
#include "cli/message.h"
#include "cli/model/model.h"

enum { CHUNK = 64 * 1024 };

struct chunk {
    struct chunk *next;
    size_t size, used; /* of data */
    _Alignas(16) unsigned char data[];
};

static struct chunk *new_chunk(size_t size)
{
    struct chunk *chunk = size < SIZE_MAX - sizeof *chunk ? calloc(1, sizeof *chunk + size) : NULL;

    if (chunk == NULL) {
        fo_error("no memory for %zu bytes of what the journals say", size);
        exit(FO_EXIT_SOFTWARE);
    }
    chunk->size = size;
    return chunk;
}

void *fo_model_allocate(struct fo_model *model, size_t size)
{
    struct chunk *chunk = model->memory;
    size_t room = (size + 15) & ~(size_t)15;
    void *piece;

    if (room < size)
        room = SIZE_MAX;
    if (chunk == NULL || chunk->size - chunk->used < room) {
        chunk = new_chunk(room > CHUNK ? room : CHUNK);
        chunk->next = model->memory;
        model->memory = chunk;
    }
    piece = chunk->data + chunk->used;
    chunk->used += room;
    return piece;
}

void fo_model_free(struct fo_model *model)
{
    struct chunk *chunk = model->memory;

    while (chunk != NULL) {
        struct chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
    memset(model, 0, sizeof *model);
}

char *fo_model_string(struct fo_model *model, const char *text)
{
    char *copy = NULL;

    if (text != NULL) {
        copy = fo_model_allocate(model, strlen(text) + 1);
        fo_clean(copy, text);
    }
    return copy;
}
