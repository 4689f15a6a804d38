/* See made.h. */
#include "made.h"

#include <string.h>
#include <unistd.h>

#include "cli/output/suppress.h"
#include "report/journal_format.h"

const char *const made_names[MADES] = {"empty",   "one",   "three",      "suppressed",
                                       "unknown", "nasty", "unprotected"};

#define NASTY "a\"b<c>&d'e%f,g:h\\i\nj\tk]]>l\x01\xff\xc3\xa4 \xe2\x82\xac::error::m"

static struct fo_process_shown processes[4];
static struct fo_finding_shown findings[3];
static struct fo_code stacks[3][2];
static char here[4096], source[sizeof here + 100];
static struct fo_suppression suppression = {.file = "known.txt", .line = 3, .name = "bug 123"};

static struct fo_code code(const char *function, const char *file, unsigned line)
{
    return (struct fo_code){.module = "/usr/sbin/server",
                            .build_id = "0123456789abcdef0123456789abcdef01234567",
                            .address = 0x1234,
                            .function = function,
                            .file = file,
                            .line = line};
}

static struct fo_place_shown place(const char *file, unsigned line,
                                   const struct fo_process_shown *process)
{
    return (struct fo_place_shown){
        .known = true, .file = file, .line = line, .pid = process->pid, .process = process};
}

static void make_processes(void)
{
    memset(processes, 0, sizeof processes);
    processes[0] = (struct fo_process_shown){.pid = 4120,
                                             .parent_pid = 1,
                                             .name = "server",
                                             .how = "libcrypto.so.3 is linked",
                                             .started = UINT64_C(1767225600123456789),
                                             .guard = FO_JOURNAL_GUARDED};
    for (unsigned i = 1; i < 3; i++)
        processes[i] = (struct fo_process_shown){.pid = 4120 + i,
                                                 .parent_pid = 4120,
                                                 .parent = &processes[0],
                                                 .is_fork = true,
                                                 .name = i == 1 ? "server" : "worker",
                                                 .how = "",
                                                 .started = UINT64_C(1767225601000000000),
                                                 .guard = FO_JOURNAL_GUARDED,
                                                 .forked = code("start", "/src/server.c", 7)};
    processes[3] = (struct fo_process_shown){.pid = 9,
                                             .parent_pid = 2,
                                             .name = "static",
                                             .how = "OpenSSL is linked statically",
                                             .started = UINT64_C(1767225602500000000),
                                             .guard = FO_JOURNAL_UNPROTECTED};
}

static void make_first(struct fo_finding_shown *f)
{
    *f = (struct fo_finding_shown){.kind = "double-free",
                                   .headline = "double free of SSL_CTX 0x7f12a4c01040 (1072 bytes)",
                                   .label = "freed again",
                                   .object = "SSL_CTX",
                                   .answer = "skipped",
                                   .pointer = 0x7f12a4c01040,
                                   .block = 0x7f12a4c01040,
                                   .size = 1072,
                                   .count = 1,
                                   .first = UINT64_C(1767225603000000001),
                                   .last = UINT64_C(1767225603000000001),
                                   .fingerprint = "00112233aabbccdd"};
    f->allocated = place("ssl/ssl_lib.c", 3168, &processes[0]);
    f->allocated.caller = code("setup", "/src/set up.c", 20);
    f->freed = place("ssl/ssl_lib.c", 3457, &processes[1]);
    f->now = place("ssl/ssl_lib.c", 3457, &processes[2]);
    f->now.thread = 77;
    f->now.caller = code("worker_shutdown", source, 41);
    stacks[0][0] = (struct fo_code){.module = "/usr/lib/libssl.so.3", .address = 0x99};
    stacks[0][1] = f->now.caller;
    f->now.stack = stacks[0];
    f->now.frames = 2;
}

static void make_others(void)
{
    findings[1] = (struct fo_finding_shown){.kind = "overflow",
                                            .headline = "free of block 0x5000 (16 bytes), which "
                                                        "was written past its end at byte 16",
                                            .label = "freed",
                                            .object = "block",
                                            .answer = "block kept",
                                            .pointer = 0x5000,
                                            .block = 0x5000,
                                            .size = 16,
                                            .offset = 16,
                                            .count = 4650,
                                            .first = UINT64_C(1767225603000000000),
                                            .last = UINT64_C(1767225660000000000),
                                            .racing = true,
                                            .neighbour_block = 0x4f00,
                                            .neighbour_size = 64,
                                            .neighbour_file = "crypto/bio/bio_lib.c",
                                            .neighbour_line = 83,
                                            .fingerprint = "00112233aabbccde"};
    findings[1].allocated = place("crypto/mem.c", 10, &processes[0]);
    findings[1].now = place("src/mine.c", 12, &processes[0]);
    findings[2] = findings[0];
    findings[2].kind = "reference-to-freed";
    findings[2].headline = "reference to freed X509 0x6000 (352 bytes)";
    findings[2].label = "referenced";
    findings[2].object = "X509";
    findings[2].fingerprint = "00112233aabbccdf";
    findings[2].now.caller = (struct fo_code){.module = "/usr/lib/plugin.so", .address = 0x777};
    findings[2].now.frames = 0;
}

static void make_unknown(void)
{
    for (int i = 0; i < 2; i++)
        findings[i] = (struct fo_finding_shown){.kind = "foreign-free",
                                                .headline = "free of 0x1, which OpenSSL never "
                                                            "allocated (unmapped)",
                                                .label = "freed",
                                                .object = "block",
                                                .answer = "skipped",
                                                .pointer = 1,
                                                .count = 1,
                                                .fingerprint = "0000000000000000"};
    findings[1].now.known = true;
    findings[1].now.pid = 5;
}

static void make_nasty(void)
{
    processes[0].name = processes[0].how = processes[2].name = NASTY;
    findings[0].headline = findings[0].object = findings[0].answer = findings[0].label = NASTY;
    findings[0].allocated.file = findings[0].fingerprint = NASTY;
    findings[0].now.caller = (struct fo_code){.module = NASTY,
                                              .build_id = "00",
                                              .address = UINT64_MAX,
                                              .function = NASTY,
                                              .file = NASTY,
                                              .line = UINT32_MAX};
}

void made_model(struct fo_model *model, enum made which)
{
    static const size_t counts[MADES] = {0, 1, 3, 3, 2, 1, 0};

    if (getcwd(here, sizeof here) == NULL)
        here[0] = '\0';
    snprintf(source, sizeof source, "%s/src/worker.c", here); /* of the program, beneath here */
    make_processes();
    memset(findings, 0, sizeof findings);
    make_first(&findings[0]);
    make_others();
    *model = (struct fo_model){.processes = processes,
                               .process_count = which == MADE_UNPROTECTED ? 4 : 3,
                               .findings = findings,
                               .finding_count = counts[which],
                               .guarded = 3,
                               .unprotected = which == MADE_UNPROTECTED,
                               .dropped = which == MADE_THREE ? 2 : 0,
                               .excluded = which == MADE_UNPROTECTED ? 1 : 0,
                               .nameless = which == MADE_SUPPRESSED ? 7 : 0};
    if (which == MADE_SUPPRESSED)
        findings[0].suppressed = &suppression;
    else if (which == MADE_UNKNOWN)
        make_unknown();
    else if (which == MADE_NASTY)
        make_nasty();
    for (size_t i = 0; i < model->finding_count; i++)
        model->occurrences += findings[i].count;
}
