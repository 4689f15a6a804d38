/* The library's engine in the process of a fuzzer, with a journal that counts findings. */
#ifndef FO_TESTS_FUZZ_ENGINE_H
#define FO_TESTS_FUZZ_ENGINE_H

#include <stddef.h>
#include <stdint.h>

/* Once, before the first input.  Options are "NAME=value", without FREEONCE_; NULL ends them. */
void engine_start(const char *const *options);

/* Findings so far, repeated ones too. */
uint64_t engine_findings(void);

/* The text that was printed since the last call, with a NUL at its end. */
const char *engine_log(size_t *size);

#endif
