/* The two answers to what a pointer is, for verdict.c.  Each fills in kind, block, size,
 * allocation, offset and the first free, as far as they are known, and returns false when it knows
 * nothing of the pointer. */
#ifndef FO_BLOCK_VERDICT_PARTS_H
#define FO_BLOCK_VERDICT_PARTS_H

#include "report/record.h"

/* How often to look again for the record of a free that another thread is writing just now. */
enum { FO_PATIENCE = 20 };

/* The pointer is near the start, inside or behind the end of r->block, of r->size bytes: say so. */
void fo_judge_offset(struct fo_record *r, bool live);

/* A block began at the pointer once, and of its free no record is left. */
bool fo_judge_missed(struct fo_record *r);

/* verdict_pattern.c: what is handed in was read from a freed block, which is found if possible. */
bool fo_is_pattern(uintptr_t p);
bool fo_judge_pattern(struct fo_record *r);

/* verdict_region.c: by the layout of backend arena's heap. */

bool fo_judge_region(struct fo_record *r);

/* Was it an object that is freed by now? */
bool fo_judge_region_object(struct fo_record *r);

/* A live block's size and allocation. */
bool fo_judge_region_live(struct fo_record *r);

/* A header that was overwritten after the free: that it was freed, and where, is still known. */
void fo_judge_region_earlier(struct fo_record *r);

/* verdict_registry.c: by what is remembered outside of the blocks, for all other backends. */

bool fo_judge_registry(struct fo_record *r);

/* Worth a judgement as an object?  One look. */
bool fo_judge_registry_can_be_freed(uintptr_t p);

/* `remembered`: an address that was given back and is remembered counts. */
bool fo_judge_registry_object(struct fo_record *r, bool remembered);

/* A live block's size and allocation; false also when its header does not check.  It is held
 * meanwhile, as by a realloc. */
bool fo_judge_registry_live(struct fo_record *r);

/* A header that was overwritten from the block in front has taken that block's canary with it. */
void fo_judge_registry_neighbour(struct fo_record *r);

/* verdict_secure.c: in OpenSSL's secure heap. */

bool fo_judge_secure(struct fo_record *r);

/* The same for what OpenSSL's functions for it are to free. */
bool fo_judge_secure_free(struct fo_record *r);

#endif
