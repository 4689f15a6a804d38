/* The memory that the library's processes share (base/shared_number.h), with any content: the
 * counts of findings, the depot of stacks, the journal, the table of processes.  The library must
 * not crash, wait, change private memory, or print bytes that are no text.
 * Input: writes to these tables, and findings, counts and look-ups between them. */
#include "input.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/hot.h"
#include "block/hooks.h"
#include "block/memory.h"
#include "report/stacks.h"
#include "engine.h"
#include "process/process.h"
#include "process/rows.h"
#include "report/journal.h"
#include "report/record.h"

enum { TABLES_MAX = 8, PAGE = 4096, KEPT_MAX = 1 << 20, OPERATIONS_MAX = 200 };

/* A shared mapping, and the pages of it that were not all zero at start. */
static struct table {
    unsigned char *at;
    size_t size;
    bool mapped; /* else it is private here; it is shared with some backends */
} tables[TABLES_MAX];
static unsigned table_count;

static unsigned char kept[KEPT_MAX];
static struct piece {
    unsigned char *at;
    size_t size, offset; /* in kept */
} pieces[KEPT_MAX / PAGE];
static size_t piece_count, kept_size;

/* --- the tables ------------------------------------------------------------------------------- */

static void keep(unsigned char *at, size_t size)
{
    if (size > KEPT_MAX - kept_size)
        abort();
    memcpy(kept + kept_size, at, size);
    pieces[piece_count++] = (struct piece){at, size, kept_size};
    kept_size += size;
}

static void add_table(void *at, size_t size, bool mapped)
{
    static const unsigned char zero[PAGE];
    struct table *t = &tables[table_count++];

    if (table_count > TABLES_MAX)
        abort();
    *t = (struct table){at, size, mapped};
    for (size_t i = 0; mapped && i < size; i += PAGE)
        if (memcmp(t->at + i, zero, PAGE) != 0)
            keep(t->at + i, PAGE);
    if (!mapped)
        keep(at, size);
}

/* Each page of the library that another process could write. */
static void find_tables(void)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512], permissions[5];
    uintptr_t start, end;

    while (maps != NULL && fgets(line, sizeof line, maps) != NULL)
        if (sscanf(line, "%zx-%zx %4s", &start, &end, permissions) == 3 &&
            strcmp(permissions, "rw-s") == 0)
            add_table((void *)start, end - start, true);
    if (maps == NULL || table_count < 3) /* counts, stacks, journal */
        abort();
    fclose(maps);
    add_table(fo_hot.tree->processes, sizeof fo_hot.tree->processes, false);
}

/* To the content at start. */
static void restore(void)
{
    for (unsigned i = 0; i < table_count; i++)
        if (tables[i].mapped && madvise(tables[i].at, tables[i].size, MADV_REMOVE) != 0)
            abort();
    for (size_t i = 0; i < piece_count; i++)
        memcpy(pieces[i].at, kept + pieces[i].offset, pieces[i].size);
}

/* Most of a table is never used: the first part is written, and one behind it. */
static unsigned char *place_in(struct input *in, size_t *room)
{
    uint8_t which = input_byte(in);
    const struct table *t = &tables[which % table_count];
    size_t offset = input_u16(in) * 8u + (which >= 128 ? (size_t)input_byte(in) << 19 : 0);

    if (offset >= t->size)
        offset %= t->size;
    *room = t->size - offset;
    return t->at + offset;
}

/* --- operations ------------------------------------------------------------------------------- */

static void write_piece(struct input *in)
{
    size_t room;
    unsigned char *at = place_in(in, &room);
    size_t size = input_byte(in) % 64 + 1u;

    input_piece(in, at, size < room ? size : room);
}

static void write_many(struct input *in)
{
    size_t room, size = input_u16(in);
    unsigned char *at = place_in(in, &room);

    memset(at, input_byte(in), size < room ? size : room);
}

/* Findings that the library makes, with stacks. */
static void free_twice(struct input *in)
{
    uint8_t line = input_byte(in);
    void *p = fo_malloc(100, "new.c", line % 4);

    fo_free(p, "free.c", line % 3);
    for (int i = line >> 5; i >= 0; i--)
        fo_free(p, "again.c", line);
}

/* A record with any process and any stack, as shared memory can have. */
static void report(struct input *in)
{
    struct fo_place place = {.known = true,
                             .site = fo_site_pack("any.c", input_byte(in)),
                             .process = input_u16(in),
                             .caller = (uintptr_t)report,
                             .stack = (uint32_t)input_u64(in)};
    struct fo_record r = {.kind = FO_FINDING_DOUBLE_FREE,
                          .object = "block",
                          .answer = "skipped",
                          .block = 0x1000,
                          .pointer = 0x1000,
                          .size = 100,
                          .allocated = place,
                          .first = place,
                          .now = place};

    fo_report(&r);
}

static void look_up(struct input *in)
{
    uintptr_t frames[FO_STACK_MAX];
    uint32_t number = (uint32_t)input_u64(in), row = input_u16(in);
    char text[64];
    struct fo_text t = {text, sizeof text, 0};

    if (fo_stack_frames(number, frames, FO_STACK_MAX) > FO_STACK_MAX ||
        fo_row_parent(row) >= FO_PROCESSES)
        abort();
    fo_row_put_name(&t, row);
    (void)fo_row_pid(row);
    (void)fo_row_place(row);
    (void)fo_row_forks();
    fo_row_descend(fo_row_parent(row));
}

static void note_process(struct input *in)
{
    uint32_t row = input_u16(in) % FO_PROCESSES;

    fo_journal_write_process(row);
    fo_journal_keep_process(row);
    fo_journal_record_guard(FO_JOURNAL_GUARDED, "fuzz");
    if (fo_journal_begin_exec())
        fo_journal_undo_exec();
}

static void count(struct input *in)
{
    (void)in;
    fo_report_counts();
}

static void (*const operations[])(struct input *) = {
    write_piece, write_piece, write_many, free_twice, report, look_up, note_process, count};
enum { OPERATIONS = sizeof operations / sizeof operations[0] };

static void check_log(void)
{
    size_t size;
    const char *text = engine_log(&size);

    for (size_t i = 0, n; i < size; i += n) {
        n = text[i] == '\n' ? 1 : fo_clean_length(text + i, size - i);
        if (n == 0)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    struct fo_hot before;

    if (table_count == 0) {
        engine_start((const char *const[]){"STACKS=8", NULL});
        fo_free(fo_malloc(100, "new.c", 1), "free.c", 1);
        fo_report_before_fork(); /* from now on the counts are shared */
        find_tables();
    }
    restore();
    before = fo_hot;
    for (int i = 0; i < OPERATIONS_MAX && in.left != 0; i++)
        operations[input_byte(&in) % OPERATIONS](&in);
    if (memcmp(&before, &fo_hot, sizeof before) != 0)
        abort();
    check_log();
    return 0;
}
