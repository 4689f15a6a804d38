/* What a thread releases when it ends: its cache, its shard, its seat. */
#ifndef FO_PROCESS_ENDING_H
#define FO_PROCESS_ENDING_H

/* Released in this order. */
enum fo_ending { FO_ENDING_CACHE, FO_ENDING_SHARD, FO_ENDING_SEAT, FO_ENDING_LIFE, FO_ENDINGS };

/* Called by a thread that ends, also if it has nothing to release. */
typedef void fo_ending_function(void);

/* Call this before fo_ending_watch(), which has no effect without it.  More calls, also by several
 * threads, are harmless. */
void fo_ending_start(void);

/* The calling thread has something to release, which `function` does: for each `what` it is always
 * the same one. */
void fo_ending_watch(enum fo_ending what, fo_ending_function *function);

#endif
