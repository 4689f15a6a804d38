/* See snapshots.h. */
#include "cli/inspect/snapshots.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/exit.h"
#include "cli/inspect/heap.h"
#include "cli/message.h"

#define SECONDS_MOST INT64_C(9000000000) /* of a time whose nanoseconds fit */

struct peak {
    const char *text;
    uint64_t bytes;
};

bool fo_snapshots_is_one(const char *path)
{
    struct stat file;
    char first = '\0';
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    if (fd < 0)
        return false;
    bool is_one =
        fstat(fd, &file) == 0 && S_ISREG(file.st_mode) && read(fd, &first, 1) == 1 && first == '{';
    close(fd);
    return is_one;
}

static void *need(void *memory)
{
    if (memory == NULL) {
        fo_error("no memory for the saved heaps");
        exit(FO_EXIT_SOFTWARE);
    }
    return memory;
}

/* As fo_json_time() writes it; 0: it is none. */
static uint64_t time_of(const char *text)
{
    struct tm parts = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &parts);

    if (rest == NULL || *rest != '.' || strspn(rest + 1, "0123456789") != 9 ||
        strcmp(rest + 10, "Z") != 0)
        return 0;
    int64_t seconds = timegm(&parts);
    if (seconds <= 0 || seconds > SECONDS_MOST)
        return 0;
    return (uint64_t)seconds * 1000000000u + strtoul(rest + 1, NULL, 10);
}

/* --- files -------------------------------------------------------------------------------------
 */

static void leave(struct fo_snapshots *s, const char *path, const char *why)
{
    s->left[s->left_count++] = (struct fo_snapshot_left){path, why};
}

/* What a chart does not need can be many times what it needs. */
static void drop_document(struct fo_saved *saved)
{
    for (size_t i = 0; i < saved->count; i++) {
        json_decref(saved->rows[i].names);
        saved->rows[i].names = NULL;
    }
    json_decref(saved->document);
    saved->document = NULL;
}

static int take_file(struct fo_snapshots *s, const char *path)
{
    struct fo_snapshot *new = &s->list[s->count];
    int status = fo_saved_read(&new->saved, path);
    const char *why = "it cannot be opened";

    if (status == FO_EXIT_OK) {
        drop_document(&new->saved);
        new->when = time_of(new->saved.time);
        if (new->when != 0) {
            s->count++;
            return FO_EXIT_OK;
        }
        fo_error("%s is left out: it does not say when it was saved", path);
        why = "it does not say when it was saved";
        status = FO_EXIT_DATA;
    } else if (status == FO_EXIT_DATA) {
        why = "it is damaged, or no heap that freeonce heap --save wrote";
    }
    fo_saved_free(&new->saved);
    leave(s, path, why);
    return status;
}

/* --- courses -----------------------------------------------------------------------------------
 */

static int by_course(const struct fo_saved *a, const struct fo_saved *b)
{
    if (a->pid != b->pid)
        return a->pid < b->pid ? -1 : 1;
    if (a->by != b->by)
        return a->by < b->by ? -1 : 1;
    return strcmp(a->name, b->name);
}

static int by_course_and_time(const void *left, const void *right)
{
    const struct fo_snapshot *a = left, *b = right;
    int order = by_course(&a->saved, &b->saved);

    return order != 0 ? order : (a->when > b->when) - (a->when < b->when);
}

/* As the files were named.  Those of another course may be earlier. */
static bool is_reordered(const struct fo_snapshots *s)
{
    for (size_t i = 1; i < s->count; i++)
        for (size_t before = i; before-- > 0;)
            if (by_course(&s->list[before].saved, &s->list[i].saved) == 0 &&
                s->list[i].when < s->list[before].when)
                return true;
    return false;
}

/* A file that is named twice, or a copy of one. */
static int drop_repeated(struct fo_snapshots *s)
{
    size_t kept = 0;
    int status = FO_EXIT_OK;

    for (size_t i = 0; i < s->count; i++) {
        if (kept > 0 && by_course_and_time(&s->list[kept - 1], &s->list[i]) == 0) {
            fo_error("%s is left out: it has the same time as %s", s->list[i].saved.path,
                     s->list[kept - 1].saved.path);
            leave(s, s->list[i].saved.path, "another file has the same time");
            fo_saved_free(&s->list[i].saved);
            status = FO_EXIT_DATA;
        } else {
            s->list[kept++] = s->list[i];
        }
    }
    s->count = kept;
    return status;
}

static int by_text(const void *left, const void *right)
{
    const struct peak *a = left, *b = right;
    int order = strcmp(a->text, b->text);

    return order != 0 ? order : (a->bytes < b->bytes) - (a->bytes > b->bytes);
}

static int by_bytes(const void *left, const void *right)
{
    const struct peak *a = left, *b = right;

    return a->bytes != b->bytes ? (a->bytes < b->bytes ? 1 : -1) : strcmp(a->text, b->text);
}

/* The rows that were ever the greatest. */
static void choose_rows(struct fo_course *c)
{
    size_t room = 1, used = 0, kept = 0;

    for (size_t i = 0; i < c->count; i++)
        room += c->list[i].saved.count;
    struct peak *peaks = need(calloc(room, sizeof *peaks));
    for (size_t i = 0; i < c->count; i++)
        for (size_t j = 0; j < c->list[i].saved.count; j++)
            peaks[used++] =
                (struct peak){c->list[i].saved.rows[j].text, c->list[i].saved.rows[j].bytes};
    qsort(peaks, used, sizeof *peaks, by_text);
    for (size_t i = 0; i < used; i++) /* the first of equal texts has most bytes */
        if (kept == 0 || strcmp(peaks[kept - 1].text, peaks[i].text) != 0)
            peaks[kept++] = peaks[i];
    qsort(peaks, kept, sizeof *peaks, by_bytes);
    while (c->row_count < kept && c->row_count < FO_SNAPSHOTS_GREATEST) {
        c->rows[c->row_count] = peaks[c->row_count].text;
        c->row_count++;
    }
    c->other_count = kept - c->row_count;
    free(peaks);
}

/* A file's own sum is not believed when it is less than its rows. */
static void count_rows(struct fo_snapshot *s, struct fo_course *c)
{
    struct fo_amount sum = {0, 0}, shown = {0, 0};

    for (size_t i = 0; i < s->saved.count; i++) {
        const struct fo_saved_row *row = &s->saved.rows[i];
        sum.blocks += row->blocks;
        sum.bytes += row->bytes;
        for (size_t j = 0; j < c->row_count; j++)
            if (strcmp(row->text, c->rows[j]) == 0) {
                s->rows[j] = (struct fo_amount){row->blocks, row->bytes};
                shown.blocks += row->blocks;
                shown.bytes += row->bytes;
            }
    }
    s->all.blocks = s->saved.blocks > sum.blocks ? s->saved.blocks : sum.blocks;
    s->all.bytes = s->saved.bytes > sum.bytes ? s->saved.bytes : sum.bytes;
    s->rows[c->row_count] =
        (struct fo_amount){s->all.blocks - shown.blocks, s->all.bytes - shown.bytes};
    c->has_others |= s->all.blocks > shown.blocks || s->all.bytes > shown.bytes;
}

static void make_courses(struct fo_snapshots *s)
{
    for (size_t i = 0, end; i < s->count; i = end) {
        struct fo_course *c = &s->courses[s->course_count++];
        for (end = i + 1; end < s->count && by_course(&s->list[i].saved, &s->list[end].saved) == 0;)
            end++;
        *c = (struct fo_course){.list = &s->list[i], .count = end - i};
        choose_rows(c);
        for (size_t j = i; j < end; j++)
            count_rows(&s->list[j], c);
    }
}

int fo_snapshots_read(struct fo_snapshots *s, char *const *paths, size_t count)
{
    int status = FO_EXIT_OK, one;

    *s = (struct fo_snapshots){.list = need(calloc(count + 1, sizeof *s->list)),
                               .courses = need(calloc(count + 1, sizeof *s->courses)),
                               .left = need(calloc(count + 1, sizeof *s->left))};
    for (size_t i = 0; i < count; i++) {
        one = take_file(s, paths[i]);
        status = status != FO_EXIT_OK ? status : one;
    }
    s->is_reordered = is_reordered(s);
    qsort(s->list, s->count, sizeof *s->list, by_course_and_time);
    one = drop_repeated(s);
    make_courses(s);
    return status != FO_EXIT_OK ? status : one;
}

void fo_snapshots_free(struct fo_snapshots *s)
{
    for (size_t i = 0; i < s->count; i++)
        fo_saved_free(&s->list[i].saved);
    free(s->list);
    free(s->courses);
    free(s->left);
    *s = (struct fo_snapshots){.count = 0};
}
