/* See ages.h.  Two hash tables with linear probing: of this look, and of the one before. */
#include "cli/inspect/ages.h"

#include <stdlib.h>

#include "cli/exit.h"
#include "cli/message.h"

#define GOLDEN UINT64_C(0x9e3779b97f4a7c15)

static uint64_t mix(uint64_t h, uint64_t value)
{
    h = (h ^ value) * GOLDEN;
    return h ^ h >> 29;
}

static struct fo_age *find(struct fo_age *rows, size_t room, uint64_t block)
{
    size_t at = (size_t)(block >> 20) & (room - 1);

    while (rows[at].block != 0 && rows[at].block != block)
        at = (at + 1) & (room - 1);
    return &rows[at];
}

/* Half of the rows stay free. */
static void grow(struct fo_ages *a)
{
    size_t room = a->now_room != 0 ? a->now_room * 2 : 1024;
    struct fo_age *rows = calloc(room, sizeof *rows);

    if (rows == NULL) {
        fo_error("no memory to follow the blocks");
        exit(FO_EXIT_SOFTWARE);
    }
    for (size_t i = 0; i < a->now_room; i++)
        if (a->now[i].block != 0)
            *find(rows, room, a->now[i].block) = a->now[i];
    free(a->now);
    a->now = rows;
    a->now_room = room;
}

uint64_t fo_ages_see(struct fo_ages *a, uint64_t payload, uint64_t site, uint64_t size)
{
    uint64_t block = mix(mix(mix(GOLDEN, payload), site), size) | 1;

    if (a->now_used == FO_AGES_MOST) {
        a->not_followed++;
        return 1;
    }
    if (a->now_used * 2 >= a->now_room)
        grow(a);
    struct fo_age *row = find(a->now, a->now_room, block);
    if (row->block == 0) {
        uint64_t before = a->before_room != 0 ? find(a->before, a->before_room, block)->looks : 0;
        *row = (struct fo_age){block, before + 1};
        a->now_used++;
    }
    return row->looks;
}

void fo_ages_next(struct fo_ages *a)
{
    free(a->before);
    a->before = a->now;
    a->before_room = a->now_room;
    a->now = NULL;
    a->now_room = a->now_used = 0;
    a->not_followed = 0;
}

void fo_ages_free(struct fo_ages *a)
{
    free(a->now);
    free(a->before);
}
