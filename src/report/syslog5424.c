/* See syslog5424.h.
 *
 *   <27>1 - host nginx 4131 finding [freeonce@32473 kind="double-free" object="SSL_CTX" ...] text
 *
 * The time is the NILVALUE: the daemon of the same machine has it.  32473 is the enterprise
 * number that RFC 5612 keeps for examples; the library has none of its own.  The lines of a finding
 * are one text, with "; " between them. */
#include "report/syslog5424.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/base.h"
#include "base/block.h"
#include "base/elf.h"
#include "base/format.h"
#include "process/process.h"
#include "process/rows.h"
#include "report/record.h"

enum { HEADER_MAX = 1536, VALUE_MAX = 320, PIECES_MAX = 64 };
enum { DAEMON_ERROR = 3 * 8 + 3, DAEMON_WARNING = 3 * 8 + 4 };

static const char *const kinds[] = {
#define FO_FINDING(KIND, id, free_text, realloc_text) id,
#include "report/findings.def"
#undef FO_FINDING
};

/* --- structured data ---------------------------------------------------------------------------
 */

/* A parameter that does not fit as a whole is left out: what follows would not be understood. */
static void put_value(struct fo_text *t, const char *name, const char *value, size_t length)
{
    size_t size = strlen(name) + length + 4;

    for (size_t i = 0; i < length; i++)
        size += value[i] == '"' || value[i] == '\\' || value[i] == ']';
    if (length == 0 || size + 2 > t->size - t->used) /* "] " comes at the end */
        return;
    fo_put_char(t, ' ');
    fo_put(t, name);
    fo_put(t, "=\"");
    for (size_t i = 0; i < length; i++) {
        if (value[i] == '"' || value[i] == '\\' || value[i] == ']')
            fo_put_char(t, '\\');
        fo_put_char(t, value[i]);
    }
    fo_put_char(t, '"');
}

static void put_word(struct fo_text *t, const char *name, const char *value)
{
    if (value != NULL)
        put_value(t, name, value, strlen(value));
}

static void put_number(struct fo_text *t, const char *name, uint64_t number)
{
    char digits[24];
    struct fo_text value = FO_TEXT(digits);

    fo_put_dec(&value, number);
    put_value(t, name, digits, value.used);
}

static void put_place(struct fo_text *t, const char *name, const char *pid_name,
                      const struct fo_place *place)
{
    char words[VALUE_MAX];
    struct fo_text value = FO_TEXT(words);

    if (!place->known)
        return;
    fo_place_text(&value, place);
    put_value(t, name, words, value.used);
    if (place->process != 0 && place->process < FO_PROCESSES)
        put_number(t, pid_name, fo_row_pid(place->process));
}

static void put_finding(struct fo_text *t, const struct fo_record *r, uint64_t count)
{
    fo_put(t, "[freeonce@32473");
    put_word(t, "kind", kinds[r->kind]);
    put_word(t, "object", r->object);
    put_word(t, "answer", r->answer);
    put_number(t, "count", count);
    put_place(t, "allocated", "allocatedPid", &r->allocated);
    put_place(t, "freedFirst", "freedFirstPid", &r->first);
    put_place(t, "now", "nowPid", &r->now);
    fo_put(t, "] ");
}

/* --- header and text ---------------------------------------------------------------------------
 */

static struct utsname machine;

void fo_syslog5424_begin(void)
{
    if (syscall(SYS_uname, &machine) != 0)
        machine.nodename[0] = '\0';
}

/* The names of the header have printable characters of ASCII, and no blank. */
static void put_name(struct fo_text *t, const char *text)
{
    char name[65];
    struct fo_text clean = FO_TEXT(name);

    fo_put_clean(&clean, text, sizeof name);
    for (size_t i = 0; i < clean.used; i++)
        fo_put_char(t, name[i] > ' ' && name[i] < 0x7f ? name[i] : '?');
    if (clean.used == 0)
        fo_put_char(t, '-');
}

/* Its lines, as pieces; the last one has what is left. */
static int put_lines(struct iovec *pieces, int used, const char *text, size_t length)
{
    static const char between[] = "; ";

    while (length > 0 && text[length - 1] == '\n')
        length--;
    while (length > 0) {
        const char *end = used + 3 < PIECES_MAX ? memchr(text, '\n', length) : NULL;
        size_t n = end != NULL ? (size_t)(end - text) : length;
        pieces[used++] = (struct iovec){(char *)text, n};
        text += n;
        length -= n;
        if (length > 0)
            pieces[used++] = (struct iovec){(char *)between, sizeof between - 1};
        while (length > 0 && (*text == '\n' || *text == ' '))
            text++, length--;
    }
    return used;
}

enum fo_written fo_syslog5424_send(int fd, bool sandbox, const char *text, size_t length,
                                   const struct fo_record *record, uint64_t count)
{
    char header[HEADER_MAX];
    struct fo_text t = FO_TEXT(header);
    struct iovec pieces[PIECES_MAX];
    const char *program = program_invocation_short_name; /* libc's constructor sets it */

    fo_put(&t, "<");
    fo_put_dec(&t, record != NULL ? DAEMON_ERROR : DAEMON_WARNING);
    fo_put(&t, ">1 - ");
    put_name(&t, machine.nodename);
    fo_put(&t, " ");
    put_name(&t, *program != '\0' ? program : fo_program);
    fo_put(&t, " ");
    fo_put_dec(&t, (uint64_t)fo_getpid());
    fo_put(&t, record != NULL ? " finding " : " message - ");
    if (record != NULL)
        put_finding(&t, record, count);
    pieces[0] = (struct iovec){header, t.used};
    int used = put_lines(pieces, 1, text, length);
    return fo_target_datagram(fd, sandbox, pieces, used);
}
