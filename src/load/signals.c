/* sigaction(2) and signal(3): with FREEONCE_FAULTS=1 the library's handler stays in front of the
 * program's handlers for SIGSEGV, SIGBUS, SIGILL and SIGABRT.  Other calls are passed to libc. */
#include "process/fault.h"

FO_EXPORT int sigaction(int number, const struct sigaction *action, struct sigaction *before)
{
    return fo_fault_sigaction(number, action, before);
}

FO_EXPORT sighandler_t signal(int number, sighandler_t handler)
{
    return fo_fault_signal(number, handler);
}
