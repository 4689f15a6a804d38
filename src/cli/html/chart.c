/* The chart of live bytes: a line for each of the greatest rows and one for all others.  Each line
 * has its name at its end, so that colour is not needed to tell them apart. */
#include <stdlib.h>
#include <time.h>

#include "cli/html/heaps.h"

enum {
    LEFT = 70,  /* units of the picture: where the axis of times starts */
    LONG = 630, /* how long it is */
    TOP = 36,
    HIGH = 300,
    APART = 19, /* names, at least */
    TICKS = 4,
    STEPS = 5,      /* of bytes, at most */
    SPOTS_MAX = 60, /* snapshots of which each is a dot */
    NAME_BYTES = 34,
};

struct axes {
    const struct fo_course *course;
    uint64_t first, last, step, most;
    size_t lines;
};

static uint64_t bytes_of(const struct axes *a, size_t look, size_t line)
{
    return a->course->list[look].rows[line].bytes;
}

static unsigned x_of(const struct axes *a, uint64_t when)
{
    return LEFT + (unsigned)((double)(when - a->first) / (double)(a->last - a->first) * LONG);
}

static unsigned y_of(const struct axes *a, uint64_t bytes)
{
    return TOP + HIGH - (unsigned)((double)bytes / (double)a->most * HIGH);
}

static struct axes axes_of(const struct fo_course *c)
{
    struct axes a = {.course = c,
                     .first = c->list[0].when,
                     .last = c->list[c->count - 1].when,
                     .step = 1,
                     .lines = fo_course_lines(c)};
    uint64_t greatest = 1;

    for (size_t i = 0; i < c->count; i++)
        for (size_t j = 0; j < a.lines; j++)
            greatest = bytes_of(&a, i, j) > greatest ? bytes_of(&a, i, j) : greatest;
    for (unsigned i = 0; a.step * STEPS < greatest; i++) /* 1, 2, 5, 10 ... */
        a.step = i % 3 == 1 ? a.step / 2 * 5 : a.step * 2;
    a.most = (greatest + a.step - 1) / a.step * a.step;
    return a;
}

/* In the greatest unit in which each step is a whole number, so that the numbers stay short. */
static void put_bytes(FILE *out, const struct axes *a)
{
    static const char *const names[] = {"bytes", "kB", "MB", "GB", "TB", "PB", "EB"};
    char number[FO_HTML_NUMBER];
    uint64_t unit = 1;
    size_t name = 0;

    for (; a->step / unit % 1000 == 0; name++)
        unit *= 1000;
    fo_html(out, "<text x=\"%d\" y=\"14\" text-anchor=\"end\">%s</text>\n", LEFT - 8, names[name]);
    for (uint64_t bytes = 0; bytes <= a->most; bytes += a->step)
        fo_html(out,
                "<line class=\"tick\" x1=\"%d\" y1=\"%u\" x2=\"%d\" y2=\"%u\"/>"
                "<text x=\"%d\" y=\"%u\" text-anchor=\"end\">%s</text>\n",
                LEFT, y_of(a, bytes), LEFT + LONG, y_of(a, bytes), LEFT - 8, y_of(a, bytes) + 5,
                fo_html_number(number, bytes / unit));
}

static void put_times(FILE *out, const struct axes *a)
{
    uint64_t seconds = (a->last - a->first) / 1000000000u;

    for (uint64_t i = 0; i <= TICKS; i++) {
        uint64_t when = a->first + (a->last - a->first) / TICKS * i;
        time_t at = (time_t)(when / 1000000000u);
        unsigned x = x_of(a, when);
        char text[32] = "?", part[8] = "";
        struct tm t;
        if (localtime_r(&at, &t) != NULL)
            strftime(text, sizeof text, seconds > 86400 ? "%m-%d %H:%M" : "%T", &t);
        if (seconds < 5)
            snprintf(part, sizeof part, ".%03u", (unsigned)(when / 1000000u % 1000u));
        fo_html(out,
                "<line class=\"tick\" x1=\"%u\" y1=\"%d\" x2=\"%u\" y2=\"%d\"/>"
                "<text x=\"%u\" y=\"%d\" text-anchor=\"middle\">%s%s</text>\n",
                x, TOP + HIGH, x, TOP + HIGH + 6, x, TOP + HIGH + 22, text, part);
    }
}

static void put_spots(FILE *out, const struct axes *a, size_t line)
{
    char bytes[FO_HTML_NUMBER], blocks[FO_HTML_NUMBER];

    for (size_t i = 0; i < a->course->count; i++) {
        const struct fo_snapshot *s = &a->course->list[i];
        fo_html(out,
                "<circle class=\"spot c%zu\" cx=\"%u\" cy=\"%u\" r=\"4\"><title>%.*s: %s bytes, %s "
                "blocks</title></circle>\n",
                fo_course_colour(a->course, line), x_of(a, s->when), y_of(a, s->rows[line].bytes),
                FO_HTML_SHORT, fo_course_line(a->course, line),
                fo_html_number(bytes, s->rows[line].bytes),
                fo_html_number(blocks, s->rows[line].blocks));
    }
}

static void put_line(FILE *out, const struct axes *a, size_t line)
{
    fo_html(out, "<polyline class=\"line c%zu\" points=\"", fo_course_colour(a->course, line));
    for (size_t i = 0; i < a->course->count; i++)
        fo_html(out, "%s%u,%u", i > 0 ? " " : "", x_of(a, a->course->list[i].when),
                y_of(a, bytes_of(a, i, line)));
    fo_html(out, "\"/>\n");
}

/* From the top to the bottom as the lines end, none upon another. */
static void put_names(FILE *out, const struct axes *a)
{
    size_t order[FO_SNAPSHOTS_GREATEST + 1], last = a->course->count - 1;
    unsigned at[FO_SNAPSHOTS_GREATEST + 1], floor = TOP + HIGH;

    for (size_t i = 0; i < a->lines; i++) {
        size_t place = i;
        for (; place > 0 && bytes_of(a, last, order[place - 1]) < bytes_of(a, last, i); place--)
            order[place] = order[place - 1];
        order[place] = i;
    }
    for (size_t i = 0; i < a->lines; i++) {
        at[i] = y_of(a, bytes_of(a, last, order[i]));
        if (i > 0 && at[i] < at[i - 1] + APART)
            at[i] = at[i - 1] + APART;
    }
    for (size_t i = a->lines; i-- > 0; floor -= APART)
        at[i] = at[i] > floor ? floor : at[i];
    for (size_t i = 0; i < a->lines; i++)
        fo_html(out,
                "<line class=\"line c%zu\" x1=\"%d\" y1=\"%u\" x2=\"%d\" y2=\"%u\"/>"
                "<text x=\"%d\" y=\"%u\">%.*s</text>\n",
                fo_course_colour(a->course, order[i]), LEFT + LONG,
                y_of(a, bytes_of(a, last, order[i])), LEFT + LONG + 20, at[i], LEFT + LONG + 26,
                at[i] + 5, NAME_BYTES, fo_course_line(a->course, order[i]));
}

/* What the picture shows, for who does not see it. */
static void put_description(FILE *out, const struct axes *a, size_t number)
{
    const struct fo_course *c = a->course;
    char from[FO_HTML_NUMBER], to[FO_HTML_NUMBER];
    size_t most = 0;

    for (size_t i = 1; i < c->row_count; i++)
        if ((int64_t)(bytes_of(a, c->count - 1, i) - bytes_of(a, 0, i)) >
            (int64_t)(bytes_of(a, c->count - 1, most) - bytes_of(a, 0, most)))
            most = i;
    fo_html(out, "<title id=\"heap%zu-title\">Live bytes by %s over time</title>\n", number,
            fo_heap_by_names[c->list[0].saved.by]);
    fo_html(out,
            "<desc id=\"heap%zu-about\">%zu lines over %zu times. What grew most is %.*s: from %s "
            "to %s bytes. The table below has the same numbers.</desc>\n",
            number, a->lines, c->count, FO_HTML_SHORT, fo_course_line(c, most),
            fo_html_number(from, bytes_of(a, 0, most)),
            fo_html_number(to, bytes_of(a, c->count - 1, most)));
}

void fo_html_chart(FILE *out, const struct fo_course *course, size_t number)
{
    struct axes a = axes_of(course);

    fo_html(out,
            "<div class=\"wide\" role=\"region\" tabindex=\"0\" aria-label=\"Chart %zu of live "
            "bytes\">\n"
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart\" role=\"img\" "
            "aria-labelledby=\"heap%zu-title\" aria-describedby=\"heap%zu-about\" "
            "viewBox=\"0 0 %d %d\">\n",
            number, number, number, LEFT + LONG + 290, TOP + HIGH + 32);
    put_description(out, &a, number);
    put_bytes(out, &a);
    put_times(out, &a);
    for (size_t i = a.lines; i-- > 0;) /* the greatest on top */
        put_line(out, &a, i);
    for (size_t i = a.lines; i-- > 0 && course->count <= SPOTS_MAX;)
        put_spots(out, &a, i);
    put_names(out, &a);
    fo_html(out, "</svg>\n</div>\n");
}
