/* See source.h.  Each file is read once a page, as a whole. */
#include "cli/html/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/exit.h"
#include "cli/html/put.h"
#include "cli/message.h"

enum {
    AROUND = 3,           /* lines before and behind */
    TAB = 4,              /* columns */
    LINE_MAX_BYTES = 300, /* that are shown */
    FILE_MAX = 4 << 20,   /* bytes of one file */
    FILES_MAX = 64 << 20, /* and of all */
};

struct fo_html_source {
    struct fo_html_source *next;
    char *path, *text; /* NULL: it cannot be shown */
};

static void *need(void *memory)
{
    if (memory == NULL) {
        fo_error("no memory for a source file");
        exit(FO_EXIT_SOFTWARE);
    }
    return memory;
}

static bool has_name_of_source(const char *path)
{
    static const char *const endings[] = {".c",  ".h",   ".cc",  ".cpp", ".cxx", ".c++", ".C",
                                          ".hh", ".hpp", ".hxx", ".inc", ".inl", ".def", ".rs",
                                          ".go", ".m",   ".y",   ".l",   ".re",  ".pyx", ".xs"};
    const char *dot = strrchr(path, '.');

    for (size_t i = 0; dot != NULL && i < sizeof endings / sizeof endings[0]; i++)
        if (strcmp(dot, endings[i]) == 0)
            return true;
    return false;
}

/* Root reads for others: what not everybody may read does not get into a page. */
static bool is_readable_to_all(const struct stat *st)
{
    return (st->st_mode & S_IROTH) != 0 || (geteuid() != 0 && st->st_uid == geteuid());
}

/* The file behind a symbolic link is what counts. */
static bool is_source(int fd, const struct stat *st)
{
    char name[32], real[4096];

    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(name, real, sizeof real - 1);
    if (length <= 0)
        return false;
    real[length] = '\0';
    return S_ISREG(st->st_mode) && st->st_size <= FILE_MAX && is_readable_to_all(st) &&
           has_name_of_source(real);
}

static char *read_text(int fd, size_t size)
{
    char *text = need(malloc(size + 1));
    size_t used = 0;

    while (used < size) {
        ssize_t n = read(fd, text + used, size - used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        used += (size_t)n;
    }
    text[used] = '\0';
    return text;
}

/* Through a descriptor of O_PATH, which opens no device and waits for no FIFO. */
static char *read_source(const char *path, size_t room)
{
    char name[32], *text = NULL;
    struct stat st;
    int fd, look = open(path, O_PATH | O_CLOEXEC);

    if (look < 0)
        return NULL;
    if (fstat(look, &st) == 0 && is_source(look, &st) && (size_t)st.st_size <= room) {
        snprintf(name, sizeof name, "/proc/self/fd/%d", look);
        fd = open(name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd >= 0) {
            text = read_text(fd, (size_t)st.st_size);
            close(fd);
        }
    }
    close(look);
    return text;
}

static const char *text_of(struct fo_html_sources *sources, const char *path)
{
    struct fo_html_source *s = sources->list;

    while (s != NULL && strcmp(s->path, path) != 0)
        s = s->next;
    if (s == NULL) {
        s = need(malloc(sizeof *s));
        s->path = need(strdup(path));
        s->text = read_source(path, FILES_MAX - sources->bytes);
        s->next = sources->list;
        sources->list = s;
        sources->bytes += s->text != NULL ? strlen(s->text) : 0;
    }
    return s->text;
}

/* Behind the next end of a line; NULL: there is none. */
static const char *next_line(const char *at)
{
    const char *end = strchr(at, '\n');

    return end != NULL ? end + 1 : NULL;
}

static void put_line(FILE *out, const char *line, unsigned number, bool marked)
{
    char shown[LINE_MAX_BYTES + TAB + 1];
    size_t used = 0;

    for (; *line != '\0' && *line != '\n' && *line != '\r' && used < LINE_MAX_BYTES; line++) {
        if (*line != '\t') {
            shown[used++] = *line;
            continue;
        }
        do
            shown[used++] = ' ';
        while (used % TAB != 0);
    }
    shown[used] = '\0';
    if (marked)
        fo_html(out, "<mark><span class=\"n\">%u</span> %s</mark>\n", number, shown);
    else
        fo_html(out, "<span class=\"n\">%u</span> %s\n", number, shown);
}

bool fo_html_excerpt(FILE *out, struct fo_html_sources *sources, const struct fo_code *code)
{
    const char *at = text_of(sources, code->file), *marked;
    unsigned line = 1, first = code->line > AROUND ? code->line - AROUND : 1;

    while (at != NULL && line < first && (at = next_line(at)) != NULL)
        line++;
    marked = at;
    for (unsigned n = first; marked != NULL && n < code->line; n++)
        marked = next_line(marked);
    if (marked == NULL || *marked == '\0')
        return false;
    for (; at != NULL && *at != '\0' && line <= code->line + AROUND; at = next_line(at), line++)
        put_line(out, at, line, line == code->line);
    return true;
}

void fo_html_sources_free(struct fo_html_sources *sources)
{
    while (sources->list != NULL) {
        struct fo_html_source *next = sources->list->next;
        free(sources->list->text);
        free(sources->list->path);
        free(sources->list);
        sources->list = next;
    }
}
