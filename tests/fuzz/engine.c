/* See engine.h. */
#include "engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/libc_memory.h"
#include "base/probe.h"
#include "load/engine.h"
#include "options/options.h"
#include "process/process.h"
#include "report/journal.h"

enum { OPTIONS_MAX = 16, LOG_MAX = 1 << 20 };

static int log_fd = -1;
static uintptr_t stack_end;

/* At the same time as the library's own constructor. */
__attribute__((constructor)) static void begin(int argc, char **argv, char **envp)
{
    (void)argc;
    (void)argv;
    stack_end = (uintptr_t)envp;
}

void engine_start(const char *const *options)
{
    static char text[OPTIONS_MAX][128], journal[] = "/dev/shm/fuzz-journal-XXXXXX";
    char *envp[OPTIONS_MAX + 1];
    int n = 0, fd = mkstemp(journal);

    log_fd = memfd_create("log", MFD_CLOEXEC);
    if (fd < 0 || log_fd < 0)
        abort();
    close(fd);
    snprintf(text[n++], sizeof text[0], "FREEONCE_LOG=/proc/self/fd/%d", log_fd);
    snprintf(text[n++], sizeof text[0], "FREEONCE_JOURNAL=%s", journal);
    for (; *options != NULL; options++)
        snprintf(text[n++], sizeof text[0], "FREEONCE_%s", *options);
    for (int i = 0; i < n; i++)
        envp[i] = text[i];
    envp[n] = NULL;
    fo_options_read(envp);
    fo_process_name("/usr/bin/fuzz");
    fo_stack_end = stack_end;
    fo_journal_open();
    if (!fo_engine_start() || fo_journal == NULL)
        abort();
    unlink(journal);
    /* AddressSanitizer's functions lie in this program, as do the library's own here: the library
     * would take them for its own, and search for those behind them. */
    fo_libc_memory.free = free;
    fo_libc_memory.realloc = realloc;
}

uint64_t engine_findings(void)
{
    return __atomic_load_n(&fo_journal->counters.findings, __ATOMIC_ACQUIRE);
}

const char *engine_log(size_t *size)
{
    static char text[LOG_MAX + 1];
    ssize_t n = pread(log_fd, text, LOG_MAX, 0);

    if (n < 0 || (n > 0 && ftruncate(log_fd, 0) != 0)) /* the library appends */
        abort();
    text[n] = '\0';
    *size = (size_t)n;
    return text;
}
