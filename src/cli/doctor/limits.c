/* Do the process's resource limits, and the kernel's own, leave the library what it needs? */
#include <stdio.h>

#include "cli/doctor/doctor.h"
#include "heap/system.h"
#include "report/journal_format.h"

enum {
    ADDRESSES = FO_SYSTEM_NEEDS << 20,
    DESCRIPTORS = 16,
    MAPPINGS_DEFAULT = 65530,
};

static unsigned long long left(unsigned long long limit, unsigned long long used)
{
    return limit > used ? limit - used : 0;
}

static void check_file_size(struct fo_doctor *d, const struct fo_limits *l)
{
    if (l->file_size < sizeof(struct fo_journal))
        fo_row(d, FO_ROW_WARNING, "limits", "ulimit -f unlimited",
               "RLIMIT_FSIZE is %llu bytes: the process cannot make a journal, which has %zu.",
               l->file_size, sizeof(struct fo_journal));
}

static void check_mappings(struct fo_doctor *d, bool guard)
{
    FILE *in = fopen("/proc/sys/vm/max_map_count", "re");
    unsigned long long count = MAPPINGS_DEFAULT;
    bool read = in != NULL && fscanf(in, "%llu", &count) == 1;

    if (in != NULL)
        fclose(in);
    if (!read || !guard)
        return;
    if (count < MAPPINGS_DEFAULT)
        fo_row(d, FO_ROW_WARNING, "mappings", "sysctl -w vm.max_map_count=65530",
               "vm.max_map_count is %llu: backend guard guards %llu blocks at a time.", count,
               count / 8 * 3);
    else
        fo_row(d, FO_ROW_OK, "mappings", NULL,
               "vm.max_map_count is %llu, enough for backend guard.", count);
}

void fo_doctor_limits(struct fo_doctor *d, const struct fo_limits *l, bool guard, bool is_guarded)
{
    enum fo_row_state state = is_guarded ? FO_ROW_WARNING : FO_ROW_FAILURE;
    size_t before = d->count;

    if (left(l->addresses, l->used) < ADDRESSES)
        fo_row(d, state, "limits", "ulimit -v unlimited",
               "RLIMIT_AS leaves %llu kB of addresses, and the library needs %d MB.",
               left(l->addresses, l->used) >> 10, FO_SYSTEM_NEEDS);
    if (l->locked > 0 && left(l->locked_memory, l->locked) < ADDRESSES)
        fo_row(d, state, "limits", "ulimit -l unlimited",
               "The process locks its memory, and RLIMIT_MEMLOCK leaves %llu kB of the %d MB that "
               "the library needs.",
               left(l->locked_memory, l->locked) >> 10, FO_SYSTEM_NEEDS);
    check_file_size(d, l);
    if (l->descriptors < DESCRIPTORS)
        fo_row(d, FO_ROW_WARNING, "limits", "ulimit -n 1024",
               "RLIMIT_NOFILE is %llu: the library may get no descriptor for the journal.",
               l->descriptors);
    if (d->count == before)
        fo_row(d, FO_ROW_OK, "limits", NULL,
               "The limits of addresses, locked memory, file size and descriptors suffice.");
    check_mappings(d, guard);
}
