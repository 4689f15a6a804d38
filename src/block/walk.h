/* A walk through the region, with its blocks' states from registry and guard: see heap/walk.h. */
#ifndef FO_BLOCK_WALK_H
#define FO_BLOCK_WALK_H

#include "heap/walk.h"

bool fo_blocks_walk(struct fo_walk *out, fo_walk_live *each, void *context);

#endif
