/* The sums as Prometheus's text: https://prometheus.io/docs/instrumenting/exposition_formats/.
 * Each metric has its samples side by side, names have base units, and counters end in _total. */
#include <inttypes.h>

#include "cli/metrics/metrics.h"

static const char *const states[] = {"guarded", "unused", "unprotected"};
static const char *const reasons[] = {"permission", "version", "damaged"};

static void put_head(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP freeonce_%s %s\n# TYPE freeonce_%s %s\n", name, help, name, type);
}

static void put_escaped(FILE *out, const char *value)
{
    for (; *value != '\0'; value++) {
        if (*value == '\n') {
            fputs("\\n", out);
            continue;
        }
        if (*value == '"' || *value == '\\')
            fputc('\\', out);
        fputc(*value, out);
    }
}

/* One sample; a label whose name is NULL is left out. */
static void put(FILE *out, const char *name, const char *const labels[2][2], uint64_t value)
{
    const char *separator = "";

    fprintf(out, "freeonce_%s{", name);
    for (int i = 0; i < 2 && labels[i][0] != NULL; i++) {
        fprintf(out, "%s%s=\"", separator, labels[i][0]);
        put_escaped(out, labels[i][1]);
        fputc('"', out);
        separator = ",";
    }
    fprintf(out, "} %" PRIu64 "\n", value);
}

#define PUT(out, name, value, ...) put(out, name, (const char *const[2][2]){__VA_ARGS__}, value)
#define UNIT(u)                                                                                    \
    {                                                                                              \
        "unit", (u)->name                                                                          \
    }

#define FOR_UNITS(m, u)                                                                            \
    for (const struct fo_metrics_unit *u = (m)->units; u != (m)->units + (m)->unit_count; u++)

static void print_processes(FILE *out, const struct fo_metrics *m)
{
    put_head(out, "build_info", "gauge", "The version of the command freeonce; always 1.");
    PUT(out, "build_info", 1, {"version", FREEONCE_VERSION});
    put_head(out, "processes", "gauge",
             "Processes with the library: guarded, unused (they have not used OpenSSL), "
             "unprotected.");
    FOR_UNITS(m, u)
    for (int i = 0; i < FO_METRICS_STATES; i++)
        PUT(out, "processes", u->processes[i], UNIT(u), {"state", states[i]});
    put_head(out, "unreadable_processes", "gauge",
             "Processes that were not read: permission (it is not known if they have the library), "
             "version (their library is of another), damaged.");
    for (int i = 0; i < FO_METRICS_UNREAD; i++)
        PUT(out, "unreadable_processes", m->unread[i], {"reason", reasons[i]});
    put_head(out, "incomplete_processes", "gauge", "Processes of which not all could be read.");
    FOR_UNITS(m, u)
    PUT(out, "incomplete_processes", u->incomplete, UNIT(u));
}

static void print_rows(FILE *out, const struct fo_metrics *m, const char *name, const char *label,
                       bool bytes)
{
    FOR_UNITS(m, u)
    {
        const struct fo_metrics_rows *r = *label == 'f' ? &u->files : &u->objects;
        for (size_t i = 0; i < r->count; i++)
            PUT(out, name, bytes ? r->rows[i].bytes : r->rows[i].blocks, UNIT(u),
                {label, r->rows[i].name});
    }
}

static void print_live(FILE *out, const struct fo_metrics *m)
{
    put_head(out, "live_blocks", "gauge",
             "Live blocks of OpenSSL, by the source file that allocated them.");
    print_rows(out, m, "live_blocks", "file", false);
    put_head(out, "live_bytes", "gauge",
             "Bytes of live blocks of OpenSSL, by the source file that allocated them.");
    print_rows(out, m, "live_bytes", "file", true);
    put_head(
        out, "live_objects", "gauge",
        "Live objects of OpenSSL, such as SSL and X509; their blocks are in live_blocks, too.");
    print_rows(out, m, "live_objects", "object", false);
    put_head(out, "live_object_bytes", "gauge",
             "Bytes of the objects' own blocks, without what they point to.");
    print_rows(out, m, "live_object_bytes", "object", true);
    put_head(out, "quarantine_blocks", "gauge", "Freed blocks that wait before they are reused.");
    FOR_UNITS(m, u)
    PUT(out, "quarantine_blocks", u->waiting, UNIT(u));
    put_head(out, "quarantine_bytes", "gauge",
             "Bytes of freed blocks that wait before they are reused.");
    FOR_UNITS(m, u)
    PUT(out, "quarantine_bytes", u->waiting_bytes, UNIT(u));
}

static void print_heap_rows(FILE *out, const struct fo_metrics *m, const char *name, bool used)
{
    FOR_UNITS(m, u)
    {
        const struct fo_metrics_heap *heaps[] = {&u->arena, &u->shm};
        for (int i = 0; i < 2; i++)
            if (heaps[i]->is_there)
                PUT(out, name, used ? heaps[i]->used : heaps[i]->committed, UNIT(u),
                    {"backend", i == 0 ? "arena" : "shm"});
    }
}

static void print_heap(FILE *out, const struct fo_metrics *m)
{
    put_head(out, "heap_committed_bytes", "gauge",
             "Bytes that the library's heap has made usable.");
    print_heap_rows(out, m, "heap_committed_bytes", false);
    put_head(out, "heap_used_bytes", "gauge",
             "Bytes of the library's heap in pages that have blocks, live or freed.");
    print_heap_rows(out, m, "heap_used_bytes", true);
    put_head(out, "shm_filled_bytes", "gauge",
             "Bytes of the shared heap that were ever in use (FREEONCE_BACKEND=shm).");
    FOR_UNITS(m, u)
    if (u->shm.is_there)
        PUT(out, "shm_filled_bytes", u->shm_filled, UNIT(u));
    put_head(out, "shm_size_bytes", "gauge", "Bytes that the shared heap can have at most.");
    FOR_UNITS(m, u)
    if (u->shm.is_there)
        PUT(out, "shm_size_bytes", u->shm_most, UNIT(u));
}

/* All kinds, those of 0 as well: an increase can only be seen of a sample that was there before. */
static void print_findings(FILE *out, const struct fo_metrics *m)
{
    put_head(out, "findings_total", "counter",
             "Findings of the processes that run now, repeated ones too, by kind.");
    FOR_UNITS(m, u)
    for (int i = 0; i < FO_METRICS_KINDS; i++)
        PUT(out, "findings_total", u->findings[i], UNIT(u), {"kind", fo_metrics_kinds[i]});
    if (m->journal_count == 0)
        return;
    put_head(out, "journal_findings_total", "counter",
             "Findings in a journal, repeated ones too, by kind.");
    for (size_t j = 0; j < m->journal_count; j++)
        for (int i = 0; i < FO_METRICS_KINDS; i++)
            PUT(out, "journal_findings_total", m->journals[j].findings[i],
                {"journal", m->journals[j].path}, {"kind", fo_metrics_kinds[i]});
}

void fo_metrics_print(FILE *out, const struct fo_metrics *m)
{
    fputs(FO_METRICS_MARKER " " FREEONCE_VERSION ".\n", out);
    print_processes(out, m);
    print_live(out, m);
    print_heap(out, m);
    print_findings(out, m);
}
