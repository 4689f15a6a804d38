/* What a pointer is, by the memory that it points to, for verdict.c.  Each function fills in kind,
 * block, size, allocation, offset and the first free, as far as they are known, and returns false
 * when nothing is known of the pointer. */
#ifndef FO_BLOCK_VERDICT_PARTS_H
#define FO_BLOCK_VERDICT_PARTS_H

#include "report/record.h"

/* Attempts to read the record of a free that another thread is writing at this moment. */
enum { FO_PATIENCE = 20 };

/* Is the pointer before the start, inside or behind the end of r->block?  Sets offset and kind. */
void fo_judge_offset(struct fo_record *r, bool live);

/* A block began at the pointer once, and no record of its free is left. */
bool fo_judge_missed(struct fo_record *r);

/* verdict_pattern.c: the pointer was read from a freed block, which is found if possible. */
bool fo_is_pattern(uintptr_t p);
bool fo_judge_pattern(struct fo_record *r);

/* verdict_region.c: by the layout of backend arena's heap. */

bool fo_judge_region(struct fo_record *r);

/* Was it an object that is freed by now? */
bool fo_judge_region_object(struct fo_record *r);

/* A live block's size and allocation. */
bool fo_judge_region_live(struct fo_record *r);

/* A header that was overwritten after the free: fills in the free, which is still known. */
void fo_judge_region_earlier(struct fo_record *r);

/* verdict_registry.c: by what is remembered outside of the blocks, for all other backends. */

bool fo_judge_registry(struct fo_record *r);

/* Can p be a freed object?  A quick check of its state. */
bool fo_judge_registry_can_be_freed(uintptr_t p);

/* `remembered`: a tombstone counts. */
bool fo_judge_registry_object(struct fo_record *r, bool remembered);

/* A live block's size and allocation; false also when its header is damaged.  The block is BUSY
 * meanwhile, as in a realloc. */
bool fo_judge_registry_live(struct fo_record *r);

/* Was the header overwritten from the block in front?  Then that block's canary was, too. */
void fo_judge_registry_neighbour(struct fo_record *r);

/* verdict_secure.c: in OpenSSL's secure heap. */

bool fo_judge_secure(struct fo_record *r);

/* The same for a pointer that was passed to CRYPTO_secure_free() or the like. */
bool fo_judge_secure_free(struct fo_record *r);

#endif
