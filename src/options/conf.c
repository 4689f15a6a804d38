/* See conf.h.  A user who can write this file decides where every program of the system writes its
 * reports, and which plug-in it loads.  So owner and mode of the file are checked, on the open
 * descriptor. */
#include "options/conf.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/errors.h"
#include "base/raw.h"

enum { OVERFLOW_UID = 65534 }; /* in a user namespace, each user who is not mapped into it */

static enum fo_conf_state judge(struct fo_conf *conf, int fd)
{
    struct stat st;

    if (fo_raw_stat(fd, &st) != 0) {
        conf->error = errno;
        return FO_CONF_UNREAD;
    }
    conf->owner = st.st_uid;
    conf->mode = st.st_mode & 07777;
    if (!S_ISREG(st.st_mode))
        return FO_CONF_IRREGULAR;
    if (st.st_uid != 0)
        return FO_CONF_OWNED;
    return (st.st_mode & (S_IWGRP | S_IWOTH)) != 0 ? FO_CONF_WRITABLE : FO_CONF_GOOD;
}

/* Read up to one byte more than is allowed: that shows a file that is too large, also if it grows
 * meanwhile. */
static enum fo_conf_state read_all(struct fo_conf *conf, int fd)
{
    for (;;) {
        ssize_t n = fo_raw_read(fd, conf->text + conf->length, sizeof conf->text - conf->length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            conf->error = errno;
            return FO_CONF_UNREAD;
        }
        conf->length += (size_t)n;
        if (conf->length > FO_CONF_MAX)
            return FO_CONF_LARGE;
        if (n == 0)
            return FO_CONF_GOOD;
    }
}

static void open_and_read(struct fo_conf *conf, bool insist)
{
    int fd = fo_raw_open(conf->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);

    if (fd < 0) {
        conf->error = errno;
        conf->state = errno == ENOENT || errno == ENOTDIR ? FO_CONF_ABSENT
                      : errno == ELOOP                    ? FO_CONF_LINK
                                                          : FO_CONF_UNOPENED;
        return;
    }
    conf->state = judge(conf, fd);
    if (conf->state == FO_CONF_GOOD ||
        (insist && (conf->state == FO_CONF_OWNED || conf->state == FO_CONF_WRITABLE))) {
        enum fo_conf_state end = read_all(conf, fd);
        if (end != FO_CONF_GOOD) {
            conf->state = end;
            conf->length = 0;
        }
    }
    fo_raw_close(fd);
}

void fo_conf_read(struct fo_conf *conf, const char *path, bool insist)
{
    int saved_errno = errno;

    conf->path = path;
    conf->error = 0;
    conf->length = 0;
    conf->line = 0;
    open_and_read(conf, insist);
    conf->at = conf->text;
    conf->end = conf->text + conf->length;
    errno = saved_errno;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* The text from start to end without the blanks around it. */
static char *trim(char *start, char *end)
{
    while (start < end && is_blank(*start))
        start++;
    while (end > start && is_blank(end[-1]))
        end--;
    *end = '\0';
    return start;
}

/* Cut the next line off, and trim it; at *end is its NUL. */
static char *cut_line(struct fo_conf *conf, char **end)
{
    char *start = conf->at;
    char *stop = memchr(start, '\n', (size_t)(conf->end - start));

    if (stop == NULL)
        stop = conf->end;
    conf->at = stop < conf->end ? stop + 1 : stop;
    conf->line++;
    while (stop > start && is_blank(stop[-1]))
        stop--;
    *end = stop;
    return trim(start, stop);
}

static bool has_control_characters(const char *text, const char *end)
{
    for (; text < end; text++)
        if (((unsigned char)*text < ' ' && *text != '\t') || *text == 0x7f)
            return true;
    return false;
}

static const char *read_section(char *text, char *end, struct fo_conf_line *line)
{
    if (end[-1] != ']')
        return "a section is [PROGRAM], alone on its line";
    line->kind = FO_CONF_SECTION;
    line->name = trim(text + 1, end - 1);
    if (line->name[0] == '\0' || strpbrk(line->name, " \t[]/") != NULL)
        return "a section is [PROGRAM], the name of one program without its folder";
    return NULL;
}

/* Quotes are removed in pairs; no character in them is special. */
static const char *unquote(char *value, struct fo_conf_line *line)
{
    size_t n = strlen(value);

    line->value = value;
    if (value[0] == '"' || value[0] == '\'') {
        if (n < 2 || value[n - 1] != value[0])
            return "the closing quote is missing, or something follows it";
        value[n - 1] = '\0';
        line->value = value + 1;
        return strchr(line->value, value[0]) != NULL ? "there is a quote within the quotes" : NULL;
    }
    if (strpbrk(value, " \t") != NULL)
        return "a value with blanks needs quotes, and a comment a line of its own";
    return NULL;
}

static const char *read_setting(char *text, char *end, struct fo_conf_line *line)
{
    char *equals = strchr(text, '=');

    if (equals == NULL)
        return "neither FREEONCE_NAME=value nor [PROGRAM] nor # comment";
    line->kind = FO_CONF_SETTING;
    line->name = trim(text, equals);
    if (line->name[0] == '\0' || strpbrk(line->name, " \t\"'") != NULL)
        return "the name before = is none; a line is FREEONCE_NAME=value, without export";
    return unquote(trim(equals + 1, end), line);
}

bool fo_conf_next(struct fo_conf *conf, struct fo_conf_line *line)
{
    while (conf->at < conf->end) {
        char *end, *text = cut_line(conf, &end);
        if (text == end || *text == '#')
            continue;
        *line = (struct fo_conf_line){.number = conf->line};
        line->wrong = has_control_characters(text, end) ? "this is not text"
                      : *text == '['                    ? read_section(text, end, line)
                                                        : read_setting(text, end, line);
        if (line->wrong != NULL)
            line->kind = *text == '[' ? FO_CONF_WRONG_SECTION : FO_CONF_WRONG;
        return true;
    }
    return false;
}

static void put_octal(struct fo_text *t, unsigned mode)
{
    for (int shift = 9; shift >= 0; shift -= 3)
        fo_put_char(t, (char)('0' + (mode >> shift & 7)));
}

void fo_conf_put_reason(struct fo_text *t, const struct fo_conf *conf)
{
    static const char *const words[] = {
        [FO_CONF_ABSENT] = " is not there",
        [FO_CONF_GOOD] = " is obeyed",
        [FO_CONF_UNOPENED] = " cannot be opened (",
        [FO_CONF_LINK] = " is a symbolic link, ignored: the file itself has to be there",
        [FO_CONF_IRREGULAR] = " is no regular file, ignored",
        [FO_CONF_OWNED] = " belongs to uid ",
        [FO_CONF_WRITABLE] = " can be written by group or others (mode ",
        [FO_CONF_LARGE] = " is larger than 16384 bytes, ignored",
        [FO_CONF_UNREAD] = " cannot be read (",
    };

    fo_put(t, conf->path);
    fo_put(t, words[conf->state]);
    if (conf->state == FO_CONF_UNOPENED || conf->state == FO_CONF_UNREAD) {
        fo_put(t, fo_error_words(conf->error));
        fo_put(t, "), ignored");
    } else if (conf->state == FO_CONF_OWNED) {
        fo_put_dec(t, conf->owner);
        fo_put(t, conf->owner == OVERFLOW_UID
                      ? ", not to root (unless this is a user namespace without root), ignored"
                      : ", not to root, ignored: chown root:root ");
        fo_put(t, conf->owner == OVERFLOW_UID ? "" : conf->path);
    } else if (conf->state == FO_CONF_WRITABLE) {
        put_octal(t, conf->mode);
        fo_put(t, "), ignored: chmod 644 ");
        fo_put(t, conf->path);
    }
}
