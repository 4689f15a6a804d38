/*
 * What does any preloaded library cost in the dynamic linker itself? This one does nothing:
 * scripts/bench --startup shows its cost beside that of libfreeonce.so.
 */
extern const char freeonce_bench_empty;
const char freeonce_bench_empty = 0;
