/* The command reads a journal and writes it in a format: the output must be well formed, and
 * generated suppressions must be readable.
 * Input: a byte of ways, one for the format, two of the run; the file itself, or rows, most of
 * which get a right check. */
#include "input.h"

#include <jansson.h>
#include <libxml/parser.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/model/journal_read.h"
#include "cli/output/format.h"
#include "cli/output/suppress.h"
#include "report/journal_format.h"

/* --- the journal ------------------------------------------------------------------------------ */

struct table {
    size_t start, rows, row_size, body; /* the check covers a row from `body` on */
};

#define TABLE(member, type, first)                                                                 \
    {                                                                                              \
        offsetof(struct fo_journal, member),                                                       \
            sizeof(((struct fo_journal *)0)->member) / sizeof(struct type), sizeof(struct type),   \
            offsetof(struct type, first)                                                           \
    }

static const struct table tables[] = {
    TABLE(strings, fo_journal_string, text),
    TABLE(modules, fo_journal_module, build_id_length),
    TABLE(processes, fo_journal_process, started),
    TABLE(settings, fo_journal_settings, text),
    TABLE(findings, fo_journal_finding, first),
    TABLE(findings, fo_journal_finding, first),
};
enum { TABLES = sizeof tables / sizeof tables[0], ROWS_MAX = 400 };

static void fill_row(struct fo_journal *j, const struct table *t, struct input *in)
{
    char *row = (char *)j + t->start + input_byte(in) % t->rows * t->row_size;
    struct fo_journal_row *head = (struct fo_journal_row *)row;
    uint8_t how = input_byte(in);
    size_t at = (size_t)input_byte(in) * 8 % t->row_size, size = input_byte(in) + 1u;

    if (at < sizeof *head)
        at = sizeof *head;
    input_piece(in, row + at, size < t->row_size - at ? size : t->row_size - at);
    head->key = 1;
    head->state = how % 8 == 0 ? how / 8 : FO_JOURNAL_WRITTEN + how % 2;
    if (how % 64 != 63)
        head->check = fo_journal_check(row + t->body, t->row_size - t->body);
}

static void fill(struct fo_journal *j, struct input *in)
{
    memset(j, 0, sizeof *j);
    j->head = (struct fo_journal_head){.magic = FO_JOURNAL_MAGIC,
                                       .version = FO_JOURNAL_VERSION,
                                       .head_size = offsetof(struct fo_journal, strings),
                                       .size = sizeof *j};
    for (int i = 0; in->left > 0 && i < ROWS_MAX; i++) {
        uint8_t table = input_byte(in) % (TABLES + 1);
        if (table < TABLES)
            fill_row(j, &tables[table], in);
        else
            input_piece(in, &j->counters, sizeof j->counters);
    }
}

static void write_file(int fd, const void *data, size_t size)
{
    if (ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
        abort();
}

static void write_journal(int fd, uint8_t ways, struct input *in)
{
    static struct fo_journal journal;
    size_t cut = (ways & 4) != 0 ? input_u16(in) * 16u : 0;

    if ((ways & 3) == 3) {
        write_file(fd, in->at, in->left);
        return;
    }
    fill(&journal, in);
    write_file(fd, &journal, cut < sizeof journal ? sizeof journal - cut : 0);
}

/* --- its formats ------------------------------------------------------------------------------ */

static _Noreturn void fail(const char *why, const char *text)
{
    fprintf(stderr, "not well formed: %s\n%s\n", why, text);
    abort();
}

static void check_plain(const char *text, size_t size)
{
    if (strlen(text) != size)
        fail("a NUL", text);
    for (size_t i = 0; i < size; i++)
        if (((unsigned char)text[i] < ' ' && text[i] != '\n') || text[i] == 0x7f)
            fail("a control character", text);
}

static void check_json(char *text, size_t size)
{
    json_error_t error;
    json_t *json = json_loadb(text, size, 0, &error);

    if (json == NULL)
        fail(error.text, text);
    json_decref(json);
}

static void check_xml(const char *text, size_t size)
{
    xmlDocPtr document = xmlReadMemory(text, (int)size, "x.xml", NULL, XML_PARSE_NONET);

    if (document == NULL)
        fail("XML", text);
    xmlFreeDoc(document);
}

static void check_command(char *line, size_t length)
{
    (void)length;
    if (strncmp(line, "::error ", 8) != 0 && strncmp(line, "::warning ", 10) != 0 &&
        strncmp(line, "::notice ", 9) != 0)
        fail("a line that is no command of ours", line);
    if (strstr(line + 8, "::") == NULL)
        fail("no message", line);
}

static void each_line(char *text, void (*check)(char *line, size_t length))
{
    for (size_t n; *text != '\0'; text += n) {
        n = strcspn(text, "\n");
        bool more = text[n] == '\n';
        text[n] = '\0';
        check(text, n);
        n += more;
    }
}

static void check_format(const struct fo_format *format, const struct fo_model *model,
                         const struct fo_run_shown *run)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    format->write(out, model, run);
    fclose(out);
    check_plain(text, size);
    if (strcmp(format->name, "json") == 0)
        each_line(text, check_json);
    else if (strcmp(format->name, "sarif") == 0)
        check_json(text, size);
    else if (strcmp(format->name, "github") == 0)
        each_line(text, check_command);
    else if (strcmp(format->name, "junit") == 0 || strcmp(format->name, "html") == 0)
        check_xml(text, size);
    free(text);
}

static void check_generated(int fd, char *path, const struct fo_model *model)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    struct fo_suppression *again = NULL;
    int status;

    fo_suppressions_generate(out, model);
    fclose(out);
    write_file(fd, text, size);
    if (!fo_suppressions_read(&again, path, &status))
        fail("generated suppressions are not read", text);
    fo_suppressions_free(again);
    free(text);
}

static struct fo_suppression *known(int fd, char *path)
{
    static const char text[] = "[a]\nkind = double-*\nprogram = s*\nsite = *:1?\n";
    struct fo_suppression *list = NULL;
    int status;

    write_file(fd, text, sizeof text - 1);
    if (!fo_suppressions_read(&list, path, &status))
        abort();
    return list;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fo_suppression *suppressions;
    static char path[64];
    static int fd = -1;
    struct input in = {data, size};
    char *paths[] = {path, path}, *words[] = {"x", "\033y", NULL};
    struct fo_model model;
    size_t formats = 0;

    while (fo_formats[formats].name != NULL)
        formats++;
    if (fd < 0) {
        fd = memfd_create("journal", 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        suppressions = known(fd, path);
    }
    uint8_t ways = input_byte(&in), which = (uint8_t)(input_byte(&in) % (formats + 1));
    struct fo_run_shown run = {(ways & 8) != 0 ? words : NULL, (ways & 16) != 0, input_byte(&in),
                               input_byte(&in) % 65, 1.5};
    write_journal(fd, ways, &in);
    fo_model_read(&model, paths, 1 + (ways >> 5 & 1));
    model.show_processes = (ways & 64) != 0;
    fo_suppressions_apply(suppressions, &model);
    if (which < formats)
        check_format(&fo_formats[which], &model, &run);
    else
        check_generated(fd, path, &model);
    fo_model_free(&model);
    return 0;
}
