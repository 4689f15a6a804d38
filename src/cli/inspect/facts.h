/* What the system says of a process. */
#ifndef FO_CLI_INSPECT_FACTS_H
#define FO_CLI_INSPECT_FACTS_H

#include <stdint.h>
#include <sys/types.h>

/* When it began; nanoseconds since 1970, 0: not known. */
uint64_t fo_process_started(pid_t pid);

/* 0: none, or not known. */
pid_t fo_process_parent(pid_t pid);

/* What made the dynamic linker load the library into it: words for people. */
const char *fo_process_loaded_by(pid_t pid);

#endif
