/* The library's constructor and destructor. */
#include <sys/auxv.h>
#include <unistd.h>

#include "base/libc.h"
#include "base/probe.h"
#include "base/sanitizer.h"
#include "block/quarantine.h"
#include "load/exec.h"
#include "load/jumps.h"
#include "load/leaks.h"
#include "load/library.h"
#include "load/openssl.h"
#include "options/options.h"
#include "process/fault.h"
#include "process/process.h"
#include "report/journal.h"
#include "report/output.h"
#include "report/record.h"

extern const char freeonce_version[];
FO_EXPORT const char freeonce_version[] = FREEONCE_VERSION;

static FO_BEGINNING(5) struct fo_conf conf;

/* A program with more rights than its caller (set-user-ID) obeys root's file alone.  A program that
 * it executes may have no more rights than itself and would obey the environment.  So the variables
 * are removed, as the dynamic linker removes its own. */
static void read_options(char **argv, char **envp)
{
    if (getauxval(AT_SECURE) != 0) {
        fo_options_remove(envp);
        if (environ != envp)
            fo_options_remove(environ);
    }
    fo_options_read(envp);
    fo_conf_read(&conf, FO_CONF_PATH, false);
    fo_options_read_conf(&conf, argv[0], false);
}

/* By -z initfirst this runs before the constructors of all other libraries, some of which use
 * OpenSSL (BIND's).  libc's environ is not set yet, hence envp.  Without OpenSSL nothing is mapped
 * or written, and nothing opened but the file of options, and the journal if one is set. */
FO_LIBC_CONSTRUCTOR(begin)
{
    environ = environ != NULL ? environ : envp; /* as libc sets it later; see base/raw.h */
    fo_begin_tsan();
    fo_output_begin();
    (void)getpid(); /* looks up the real function, before a signal handler calls it */
    fo_jumps_find();
    fo_exec_find();
    fo_fault_find();
    read_options(argv, envp);
    if (fo_options.leaks)
        fo_leaks_begin();
    fo_stack_end = (uintptr_t)envp;
    fo_process_name(argc > 0 ? argv[0] : NULL);
    fo_journal_open();
    fo_openssl_check_neighbours("linked");
    fo_libraries_started();
}

__attribute__((destructor)) static void end(void)
{
    if (fo_hot.memory != NULL)
        fo_quarantine_sweep();
    fo_report_counts();
}
