/* The library's first and last moments in a process. */
#include <sys/auxv.h>
#include <unistd.h>

#include "core/options.h"
#include "core/probe.h"
#include "core/quarantine.h"
#include "fork/process.h"
#include "load/library.h"
#include "load/openssl.h"
#include "report/record.h"

extern const char freeonce_version[];
FO_EXPORT const char freeonce_version[] = FREEONCE_VERSION;

/* -z initfirst brings us here before the constructors of all other libraries, some of which use
 * OpenSSL (BIND's).  libc's environ is not set up yet, hence envp.  Without OpenSSL in sight
 * nothing is mapped, opened or written. */
__attribute__((constructor)) static void begin(int argc, char **argv, char **envp)
{
    fo_options_read(getauxval(AT_SECURE) != 0 ? NULL : envp);
    fo_stack_end = (uintptr_t)envp;
    fo_process_name(argc > 0 ? argv[0] : NULL);
    fo_openssl_look_around("linked");
    fo_libraries_started();
}

__attribute__((destructor)) static void end(void)
{
    if (fo_hot.memory != NULL)
        fo_quarantine_sweep();
    fo_report_counts();
}
