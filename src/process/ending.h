/* What a thread has of ours it gives back when it ends: its cache, its shard, its seat. */
#ifndef FO_PROCESS_ENDING_H
#define FO_PROCESS_ENDING_H

/* In this order. */
enum fo_ending { FO_ENDING_CACHE, FO_ENDING_SHARD, FO_ENDING_SEAT, FO_ENDING_LIFE, FO_ENDINGS };

/* Called by a thread that ends, also by one that has nothing to give back. */
typedef void fo_ending_function(void);

/* Before the first fo_ending_watch() that shall count; more than once, and by several threads, does
 * no harm. */
void fo_ending_start(void);

/* The calling thread has something to give back, which `function` does: for each `what` it is
 * always the same one. */
void fo_ending_watch(enum fo_ending what, fo_ending_function *function);

#endif
