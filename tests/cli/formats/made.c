/* See made.h. */
#include "made.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/output/suppress.h"
#include "report/journal_format.h"

const char *const made_names[MADES] = {"empty", "one",         "three",   "suppressed", "unknown",
                                       "nasty", "unprotected", "hostile", "many"};

#define NASTY "a\"b<c>&d'e%f,g:h\\i\nj\tk]]>l\x01\xff\xc3\xa4 \xe2\x82\xac::error::m"

#define HOSTILE                                                                                    \
    "\"'><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"    \
    "</title></style>&lt;\x1b[2J\x80\xff\xe2\x80\xae\n-->]]>"

static struct fo_process_shown processes[FO_JOURNAL_PROCESSES];
static struct fo_finding_shown findings[FO_JOURNAL_FINDINGS];
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
    const char *asked = getenv("MADE_NASTY"), *nasty = asked != NULL ? asked : NASTY;

    processes[0].name = processes[0].how = processes[2].name = nasty;
    findings[0].headline = findings[0].object = findings[0].answer = findings[0].label = nasty;
    findings[0].allocated.file = findings[0].fingerprint = nasty;
    findings[0].now.caller = (struct fo_code){.module = nasty,
                                              .build_id = "00",
                                              .address = UINT64_MAX,
                                              .function = nasty,
                                              .file = nasty,
                                              .line = UINT32_MAX};
}

static void make_hostile(void)
{
    static char lengthy[10001];
    struct fo_code wrong = {.module = HOSTILE,
                            .build_id = HOSTILE,
                            .address = UINT64_MAX,
                            .function = HOSTILE,
                            .file = HOSTILE ".c",
                            .line = UINT32_MAX};

    memset(lengthy, 'w', sizeof lengthy - 1);
    processes[0].name = processes[0].how = processes[2].how = HOSTILE;
    processes[2].name = lengthy;
    processes[0].guard = FO_JOURNAL_UNPROTECTED;
    processes[0].parent = &processes[1]; /* a circle */
    processes[1].forked = wrong;
    processes[2].signal = 64;
    for (int i = 0; i < 2; i++) {
        struct fo_finding_shown *f = &findings[i];
        *f = findings[0];
        f->kind = f->headline = f->label = f->object = f->advice = f->answer = HOSTILE;
        f->allocated.file = f->neighbour_file = HOSTILE;
        f->neighbour_block = 1;
        f->allocated.caller = f->now.caller = wrong;
        f->freed.caller = (struct fo_code){.module = HOSTILE, .build_id = HOSTILE};
        stacks[0][0] = f->freed.caller;
        f->fingerprint = HOSTILE;
    }
    findings[1].object = findings[1].now.caller.function = findings[1].headline = lengthy;
    findings[1].last = findings[1].first = 0;
}

/* 8 objects, 16 callers; all processes are the first one's children, 32 have findings. */
static void make_many(void)
{
    static const char *const objects[] = {"SSL_CTX", "SSL",        "X509",  "EVP_PKEY",
                                          "BIO",     "X509_STORE", "block", "SSL_SESSION"};
    static char functions[16][16];
    static struct fo_code stack[16];

    for (unsigned i = 0; i < 16; i++) {
        snprintf(functions[i], sizeof functions[i], "function_%u", i);
        stack[i] = code(functions[i], "/src/program.c", 100 + i);
    }
    for (unsigned i = 3; i < FO_JOURNAL_PROCESSES; i++) {
        processes[i] = processes[1];
        processes[i].pid = 4120 + i;
    }
    for (unsigned i = 0; i < FO_JOURNAL_FINDINGS; i++) {
        struct fo_finding_shown *f = &findings[i];
        *f = findings[0];
        f->object = objects[i % 9 % 8]; /* twice as many of the first */
        f->advice = "It was freed before, by the place that freed it first. Which of the two owns "
                    "it? The other must not free it, or must take a reference of its own.";
        f->first += i * UINT64_C(1000000000);
        f->last = f->first;
        f->freed.process = &processes[1 + i % 32];
        f->now.caller = f->allocated.caller = stack[i / 8 % 16];
        f->now.line = i + 1;
        f->allocated.stack = f->freed.stack = f->now.stack = stack;
        f->allocated.frames = f->freed.frames = f->now.frames = 6;
    }
}

void made_model(struct fo_model *model, enum made which)
{
    static const size_t counts[MADES] = {0, 1, 3, 3, 2, 1, 0, 2, FO_JOURNAL_FINDINGS};

    if (getcwd(here, sizeof here) == NULL)
        here[0] = '\0';
    snprintf(source, sizeof source, "%s/src/worker.c", here); /* of the program, beneath here */
    make_processes();
    memset(findings, 0, sizeof findings);
    make_first(&findings[0]);
    make_others();
    *model = (struct fo_model){
        .processes = processes,
        .process_count = which == MADE_MANY          ? FO_JOURNAL_PROCESSES
                         : which == MADE_UNPROTECTED ? 4
                                                     : 3,
        .findings = findings,
        .finding_count = counts[which],
        .guarded = 3,
        .settings = which == MADE_EMPTY     ? NULL
                    : which == MADE_HOSTILE ? " LOG=" HOSTILE " BACKEND=auto"
                                            : " BACKEND=auto LOG=/var/log/a b QUARANTINE=4194304",
        .other_settings = which == MADE_THREE ? 2 : 0,
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
    else if (which == MADE_HOSTILE)
        make_hostile();
    else if (which == MADE_MANY)
        make_many();
    for (size_t i = 0; i < model->finding_count; i++)
        model->occurrences += findings[i].count;
}
