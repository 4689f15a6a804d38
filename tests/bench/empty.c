/*
 * What does the dynamic linker itself charge for any preloaded library? This one does nothing:
 * scripts/bench --startup shows its cost beside that of libfreeonce.so.
 */
extern const char freeonce_bench_empty;
const char freeonce_bench_empty = 0;
