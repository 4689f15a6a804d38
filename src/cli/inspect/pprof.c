/* freeonce heap --pprof: the format of https://github.com/google/pprof, profile.proto, compressed
 * by gzip.  pprof, speedscope and Grafana Pyroscope read it.
 *
 * Of protocol buffers it needs two encodings: a number, and bytes behind their length.  A library
 * for them would bring a compiler for the schema; test cli.heap_stacks reads the file with Google's
 * own. */
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

#include "cli/exit.h"
#include "cli/inspect/show.h"
#include "cli/message.h"
#include "cli/output/describe.h"
#include "cli/replace_file.h"

/* Field numbers of profile.proto. */
enum { PROFILE_SAMPLE_TYPE = 1, PROFILE_SAMPLE, PROFILE_MAPPING, PROFILE_LOCATION };
enum { PROFILE_FUNCTION = 5, PROFILE_STRING = 6, PROFILE_TIME = 9, PROFILE_PERIOD_TYPE = 11 };
enum { PROFILE_PERIOD = 12, TYPE_TYPE = 1, TYPE_UNIT = 2, SAMPLE_LOCATION = 1, SAMPLE_VALUE = 2 };
enum { MAPPING_ID = 1, MAPPING_START, MAPPING_LIMIT, MAPPING_OFFSET, MAPPING_FILE, MAPPING_BUILD };
enum { LOCATION_ID = 1, LOCATION_MAPPING, LOCATION_ADDRESS, LOCATION_LINE };
enum {
    LINE_FUNCTION = 1,
    LINE_LINE,
    FUNCTION_ID = 1,
    FUNCTION_NAME,
    FUNCTION_SYSTEM,
    FUNCTION_FILE
};

/* --- encoding ----------------------------------------------------------------------------------
 */

struct message {
    FILE *out;
    char *bytes;
    size_t size;
};

static void *need(void *memory)
{
    if (memory == NULL) {
        fo_error("no memory for the profile");
        exit(FO_EXIT_SOFTWARE);
    }
    return memory;
}

static void begin(struct message *m)
{
    *m = (struct message){NULL, NULL, 0};
    m->out = need(open_memstream(&m->bytes, &m->size));
}

static void close_message(struct message *m)
{
    if (fclose(m->out) != 0)
        need(NULL);
}

static void put_varint(struct message *m, uint64_t number)
{
    for (; number >= 0x80; number >>= 7)
        putc((int)(number & 0x7f) | 0x80, m->out);
    putc((int)number, m->out);
}

static void put_number(struct message *m, unsigned field, uint64_t number)
{
    if (number == 0) /* it is the default */
        return;
    put_varint(m, field << 3);
    put_varint(m, number);
}

static void put_bytes(struct message *m, unsigned field, const void *bytes, size_t size)
{
    put_varint(m, field << 3 | 2);
    put_varint(m, size);
    fwrite(bytes, 1, size, m->out);
}

/* The inner message ends. */
static void put_message(struct message *m, unsigned field, struct message *inner)
{
    close_message(inner);
    put_bytes(m, field, inner->bytes, inner->size);
    free(inner->bytes);
}

/* --- the profile -------------------------------------------------------------------------------
 */

/* Something that has a number in the profile: a text, a file, or a place in code. */
struct numbered {
    enum { TEXT, FILE_OF_CODE, PLACE } kind;
    const char *text; /* or the module's path */
    uint64_t address;
    uint64_t number;
};

struct profile {
    struct message all;
    void *known; /* tsearch(3) */
    uint64_t texts, mappings, places;
};

static int compare(const void *left, const void *right)
{
    const struct numbered *a = left, *b = right;

    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    if (a->address != b->address)
        return a->address < b->address ? -1 : 1;
    return strcmp(a->text, b->text);
}

/* True: it is new, and has this number from now on.  The text stays valid as long as the profile.
 */
static bool is_new(struct profile *p, struct numbered *n, uint64_t *counter)
{
    struct numbered *copy = need(malloc(sizeof *copy));

    *copy = *n;
    struct numbered **found = need(tsearch(copy, &p->known, compare));
    if (*found != copy) {
        free(copy);
        n->number = (*found)->number;
        return false;
    }
    n->number = copy->number = (*counter)++;
    return true;
}

static uint64_t text_number(struct profile *p, const char *text)
{
    struct numbered n = {TEXT, text != NULL ? text : "", 0, 0};

    if (is_new(p, &n, &p->texts))
        put_bytes(&p->all, PROFILE_STRING, n.text, strlen(n.text));
    return n.number;
}

static void put_type(struct profile *p, unsigned field, const char *type, const char *unit)
{
    struct message m;

    begin(&m);
    put_number(&m, TYPE_TYPE, text_number(p, type));
    put_number(&m, TYPE_UNIT, text_number(p, unit));
    put_message(&p->all, field, &m);
}

static uint64_t mapping_number(struct profile *p, const struct fo_code *code)
{
    struct numbered n = {FILE_OF_CODE, code->module != NULL ? code->module : "", 0, 0};
    struct message m;

    if (code->module == NULL || !is_new(p, &n, &p->mappings))
        return n.number;
    begin(&m);
    put_number(&m, MAPPING_ID, n.number);
    put_number(&m, MAPPING_LIMIT, UINT64_C(1) << 47); /* addresses are those of the file */
    put_number(&m, MAPPING_FILE, text_number(p, code->module));
    put_number(&m, MAPPING_BUILD, text_number(p, code->build_id));
    put_message(&p->all, PROFILE_MAPPING, &m);
    return n.number;
}

static void put_function(struct profile *p, uint64_t number, const char *name, const char *file)
{
    struct message m;

    begin(&m);
    put_number(&m, FUNCTION_ID, number);
    put_number(&m, FUNCTION_NAME, text_number(p, name));
    put_number(&m, FUNCTION_SYSTEM, text_number(p, name));
    put_number(&m, FUNCTION_FILE, text_number(p, file));
    put_message(&p->all, PROFILE_FUNCTION, &m);
}

/* A location has one function, with the same number. */
static uint64_t place_number(struct profile *p, const struct fo_code *code)
{
    const char *module = code->module != NULL ? code->module : code->function;
    struct numbered n = {PLACE, module != NULL ? module : "", code->address, 0};
    struct message m, line;

    if (!is_new(p, &n, &p->places))
        return n.number;
    begin(&m);
    put_number(&m, LOCATION_ID, n.number);
    put_number(&m, LOCATION_MAPPING, mapping_number(p, code));
    put_number(&m, LOCATION_ADDRESS, code->address);
    if (code->function != NULL) {
        begin(&line);
        put_number(&line, LINE_FUNCTION, n.number);
        put_number(&line, LINE_LINE, code->line);
        put_message(&m, LOCATION_LINE, &line);
    }
    put_message(&p->all, PROFILE_LOCATION, &m);
    if (code->function != NULL)
        put_function(p, n.number, code->function, code->file);
    return n.number;
}

/* Innermost first: the block itself, then its callers. */
static void put_sample(struct profile *p, const struct fo_stacks *s, const struct fo_stack_row *row)
{
    struct message m, places, values;

    begin(&m);
    begin(&places);
    put_varint(&places, place_number(p, &(struct fo_code){.function = row->text}));
    for (size_t i = 0; i < row->frame_count; i++)
        put_varint(&places, place_number(p, &row->frames[i]));
    put_message(&m, SAMPLE_LOCATION, &places);
    begin(&values);
    put_varint(&values, row->samples * s->one_in);
    put_varint(&values, row->bytes * s->one_in);
    put_message(&m, SAMPLE_VALUE, &values);
    put_message(&p->all, PROFILE_SAMPLE, &m);
}

static void *compressed(const struct message *m, size_t *size)
{
    enum { GZIP = 16 + 15, MEMORY = 8 };
    z_stream z = {.next_in = (unsigned char *)m->bytes, .avail_in = (unsigned)m->size};

    if (m->size > UINT32_MAX || deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP, MEMORY,
                                             Z_DEFAULT_STRATEGY) != Z_OK)
        need(NULL);
    unsigned long room = deflateBound(&z, m->size);
    unsigned char *bytes = need(malloc(room));
    z.next_out = bytes;
    z.avail_out = (unsigned)room;
    if (deflate(&z, Z_FINISH) != Z_STREAM_END)
        need(NULL);
    *size = z.total_out;
    deflateEnd(&z);
    return bytes;
}

int fo_stacks_write_pprof(const struct fo_heap_shown *h, const char *path)
{
    struct profile p = {.mappings = 1, .places = 1};
    struct timespec now;
    size_t size;

    begin(&p.all);
    text_number(&p, ""); /* number 0 */
    put_type(&p, PROFILE_SAMPLE_TYPE, "inuse_objects", "count");
    put_type(&p, PROFILE_SAMPLE_TYPE, "inuse_space", "bytes");
    put_type(&p, PROFILE_PERIOD_TYPE, "allocations", "count");
    put_number(&p.all, PROFILE_PERIOD, h->stacks->one_in);
    clock_gettime(CLOCK_REALTIME, &now);
    put_number(&p.all, PROFILE_TIME, (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec);
    for (size_t i = 0; i < h->stacks->count; i++)
        put_sample(&p, h->stacks, &h->stacks->rows[i]);
    close_message(&p.all);
    void *bytes = compressed(&p.all, &size);
    int status = (int)fo_replace_file_bytes(path, bytes, size);
    free(bytes);
    free(p.all.bytes);
    tdestroy(p.known, free);
    return status;
}
