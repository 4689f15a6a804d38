/* A file of suppressions, and its rules applied to a few findings.
 * Input: the file.  It is a memfd, which the reader opens by its path. */
#include "input.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/model/model.h"
#include "cli/output/suppress.h"

static struct fo_process_shown process = {.name = "sipd", .how = ""};
static struct fo_code stack[2] = {{.module = "/usr/lib/libx.so.1",
                                   .address = 0x41,
                                   .function = "f",
                                   .file = "/src/f.c",
                                   .line = 7},
                                  {.module = "a", .address = 1}};

static const struct fo_finding_shown findings[] = {
    {.kind = "double-free",
     .object = "SSL_CTX",
     .headline = "h",
     .label = "l",
     .answer = "a",
     .fingerprint = "0",
     .allocated = {.known = true, .file = "ssl/ssl_lib.c", .line = 3168, .process = &process},
     .freed = {.known = true, .file = "ssl/ssl_lib.c", .line = 1},
     .now = {.known = true, .frames = 2, .stack = stack, .process = &process}},
    {.kind = "foreign", .object = "block", .headline = "", .label = "", .answer = ""},
};
enum { FINDINGS = sizeof findings / sizeof findings[0] };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static char path[64];
    struct fo_finding_shown shown[FINDINGS];
    struct fo_model model = {.findings = shown, .finding_count = FINDINGS};
    struct fo_suppression *list = NULL;
    int status = 0;

    if (fd < 0) {
        fd = memfd_create("suppressions", 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    if (ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
        abort();
    memcpy(shown, findings, sizeof shown);
    shown[0].now.caller = shown[0].freed.caller = stack[0];
    if (fo_suppressions_read(&list, path, &status)) {
        fo_suppressions_apply(list, &model);
    } else if (list != NULL || status == 0) {
        abort(); /* after an error there is no list, and an exit status that is not 0 */
    }
    fo_suppressions_free(list);
    return 0;
}
