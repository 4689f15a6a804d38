/* See journald.h.
 *
 * A field is "NAME=value\n"; a value with line ends is "NAME\n", its length in 64 bits, the value,
 * "\n".  The text is sent from where it lies, so that the stack has only the other fields. */
#include "report/journald.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "base/block.h"
#include "base/elf.h"
#include "base/format.h"
#include "process/rows.h"
#include "report/record.h"

enum { FIELDS_MAX = 1536, VALUE_MAX = 320, PRIORITY_ERROR = 3, PRIORITY_WARNING = 4 };

static const char *const kinds[] = {
#define FO_FINDING(KIND, id, free_text, realloc_text) id,
#include "report/findings.def"
#undef FO_FINDING
};

/* --- fields ------------------------------------------------------------------------------------
 */

static void put_bytes(struct fo_text *t, const void *bytes, size_t size)
{
    const char *at = bytes;

    for (size_t i = 0; i < size; i++)
        fo_put_char(t, at[i]);
}

/* A field that does not fit as a whole is left out: journald would not understand what follows. */
static void put_field(struct fo_text *t, const char *name, const char *value, size_t length)
{
    uint64_t size = htole64(length);
    bool binary = memchr(value, '\n', length) != NULL;

    if (length == 0 || strlen(name) + sizeof size + length + 2 > t->size - t->used)
        return;
    fo_put(t, name);
    fo_put_char(t, binary ? '\n' : '=');
    if (binary)
        put_bytes(t, &size, sizeof size);
    put_bytes(t, value, length);
    fo_put_char(t, '\n');
}

static void put_word(struct fo_text *t, const char *name, const char *value)
{
    if (value != NULL)
        put_field(t, name, value, strlen(value));
}

/* Text from outside the library. */
static void put_clean(struct fo_text *t, const char *name, const char *text)
{
    char words[64];
    struct fo_text value = FO_TEXT(words);

    fo_put_clean(&value, text, sizeof words);
    put_field(t, name, words, value.used);
}

static void put_number(struct fo_text *t, const char *name, uint64_t number)
{
    char digits[24];
    struct fo_text value = FO_TEXT(digits);

    fo_put_dec(&value, number);
    put_field(t, name, digits, value.used);
}

/* --- a finding ---------------------------------------------------------------------------------
 */

static void put_code(struct fo_text *t, fo_site site)
{
    char file[160];
    const char *shown = file;

    if (site == 0 || !fo_elf_string(fo_site_file(site), file, sizeof file))
        return;
    while (strncmp(shown, "../", 3) == 0) /* Debian builds OpenSSL beside its source */
        shown += 3;
    put_word(t, "CODE_FILE", shown);
    put_number(t, "CODE_LINE", (uint64_t)fo_site_line(site));
}

static void put_place(struct fo_text *t, const char *name, const char *pid_name,
                      const struct fo_place *place)
{
    char words[VALUE_MAX];
    struct fo_text value = FO_TEXT(words);

    if (!place->known)
        return;
    fo_place_text(&value, place);
    put_field(t, name, words, value.used);
    if (place->process != 0 && place->process < FO_PROCESSES)
        put_number(t, pid_name, fo_row_pid(place->process));
}

static void put_finding(struct fo_text *t, const struct fo_record *r, uint64_t count)
{
    put_word(t, "MESSAGE_ID", FO_JOURNALD_FINDING);
    put_word(t, "FREEONCE_KIND", kinds[r->kind]);
    put_word(t, "FREEONCE_OBJECT", r->object);
    put_word(t, "FREEONCE_ANSWER", r->answer);
    put_number(t, "FREEONCE_COUNT", count);
    put_code(t, r->now.known ? r->now.site : 0);
    put_place(t, "FREEONCE_ALLOCATED", "FREEONCE_ALLOCATED_PID", &r->allocated);
    put_place(t, "FREEONCE_FREED_FIRST", "FREEONCE_FREED_FIRST_PID", &r->first);
    put_place(t, "FREEONCE_NOW", "FREEONCE_NOW_PID", &r->now);
}

enum fo_written fo_journald_send(int fd, bool sandbox, const char *text, size_t length,
                                 const struct fo_record *record, uint64_t count)
{
    static const char name[] = "MESSAGE\n";
    char more[FIELDS_MAX];
    struct fo_text t = FO_TEXT(more);

    while (length > 0 && text[length - 1] == '\n')
        length--;
    uint64_t size = htole64(length);
    fo_put_char(&t, '\n'); /* the end of the message */
    put_number(&t, "PRIORITY", record != NULL ? PRIORITY_ERROR : PRIORITY_WARNING);
    put_clean(&t, "SYSLOG_IDENTIFIER", program_invocation_short_name);
    if (record != NULL)
        put_finding(&t, record, count);
    const struct iovec pieces[] = {{(char *)name, sizeof name - 1},
                                   {&size, sizeof size},
                                   {(char *)text, length},
                                   {more, t.used}};
    return fo_target_datagram(fd, sandbox, pieces, sizeof pieces / sizeof pieces[0]);
}
