/* What a thread has of ours it gives back when it ends: its cache, its seat. */
#ifndef FO_PROCESS_ENDING_H
#define FO_PROCESS_ENDING_H

/* Before the first fo_ending_watch(); more than once does no harm. */
void fo_ending_start(void);

/* The calling thread has something. */
void fo_ending_watch(void);

#endif
