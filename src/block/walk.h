/* A walk through the region, with what registry and guard know of its blocks: see heap/walk.h. */
#ifndef FO_BLOCK_WALK_H
#define FO_BLOCK_WALK_H

#include "heap/walk.h"

bool fo_blocks_walk(struct fo_walk *out, fo_walk_live *each, void *context);

#endif
