/* A handler of the library's, in front of the program's action for the signal of a fault.
 *
 * Unless it has handled the fault, the program's action follows unchanged.  A handler of the
 * program gets the signal on its own stack and with its own mask.  If the action is the default,
 * the library's handler returns with the signal blocked: the access faults again, and the kernel
 * applies the default.  So exit status and core dump are those of the access itself. */
#ifndef FO_PROCESS_FAULT_H
#define FO_PROCESS_FAULT_H

#include <signal.h>

#include "base/base.h"

/* Called for accesses that fault.  True: the access can be made again, and no other handler gets
 * the signal. */
typedef bool fo_fault_handler(siginfo_t *info, void *context);

/* Call `handler` for SIGSEGV or SIGBUS from now on; once for each. */
void fo_fault_watch(int number, fo_fault_handler *handler);

/* Called when SIGSEGV, SIGBUS, SIGILL or SIGABRT is about to reach the program's own handler
 * (`is_handled`), or to end the program. */
typedef void fo_fault_witness(int number, siginfo_t *info, void *context, bool is_handled);

/* Call `witness` from now on.  Handlers that the program installs later come behind it, and
 * sigaction(2) answers as if it were not there. */
void fo_fault_witness_all(fo_fault_witness *witness);

/* sigaction(2) and signal(3) for the program. */
int fo_fault_sigaction(int number, const struct sigaction *action, struct sigaction *before);
sighandler_t fo_fault_signal(int number, sighandler_t handler);

/* Find the real functions, before a signal handler or the child of a vfork(2) calls them. */
void fo_fault_find(void);

#endif
