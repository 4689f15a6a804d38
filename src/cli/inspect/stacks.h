/* The call stacks of live blocks, where the library keeps them: of all (FREEONCE_STACKS), or of one
 * in N (FREEONCE_SAMPLE), each of which stands for N. */
#ifndef FO_CLI_INSPECT_STACKS_H
#define FO_CLI_INSPECT_STACKS_H

#include "cli/inspect/blocks.h"
#include "cli/model/model.h"

/* A stack that live blocks have, with what they are counted by (heap.h). */
struct fo_stack_row {
    uint32_t stack;
    uint64_t key;
    uint64_t samples, bytes; /* blocks, not multiplied */
    char *text;              /* of the key; malloc(3) */
    struct fo_code *frames;  /* innermost first; the model's */
    size_t frame_count;
};

struct fo_stacks {
    struct fo_target *target;
    uint64_t one_in;           /* each block stands for so many; 1: all have a stack */
    uint64_t without;          /* blocks that should have one, and it is not known */
    uint64_t full;             /* samples that found no place in the process */
    struct fo_stack_row *rows; /* most bytes first; malloc(3) */
    size_t count;
    struct fo_model model;
    struct fo_stack_reading *reading;
};

/* FO_EXIT_OK, or another status of exit.h after a message: the process keeps none. */
int fo_stacks_start(struct fo_stacks *s, struct fo_target *t);

/* For each live block. */
void fo_stacks_add(struct fo_stacks *s, const struct fo_block_seen *block, uint64_t key);

/* Then: sum up, and find the functions. */
void fo_stacks_finish(struct fo_stacks *s, char *(*name)(void *context, uint64_t key),
                      void *context);
void fo_stacks_free(struct fo_stacks *s);

#endif
