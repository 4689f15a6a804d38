/* A handler of ours in front of what the program has for a fault's signal.
 *
 * It changes nothing about what follows, unless it says so: what was installed before gets the
 * signal, on the stack and with the mask that it had, and where that is the default, returning from
 * the handler with the default restored makes the access fault again, so that exit status and core
 * dump are those of the access itself. */
#ifndef FO_CORE_FAULT_H
#define FO_CORE_FAULT_H

#include <signal.h>

#include "core/base.h"

/* Called for accesses that fault.  True: the access can be made again, and nobody else is to see
 * the signal. */
typedef bool fo_fault_handler(siginfo_t *info, void *context);

/* Call it for SIGSEGV or SIGBUS from now on; once for each. */
void fo_fault_watch(int number, fo_fault_handler *handler);

#endif
