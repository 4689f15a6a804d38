/* A unit of systemd, as far as [Service] of it matters to `freeonce systemd`: what is set, in which
 * order, and what the manager would make of the words.  systemd.syntax(7), systemd.unit(5). */
#ifndef FO_CLI_SYSTEMD_UNIT_H
#define FO_CLI_SYSTEMD_UNIT_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/exit.h"

/* The first words of every drop-in that we write: how we know ours again. */
#define FO_DROPIN_MARKER "# Made by freeonce systemd"
#define FO_DROPIN_NAME   "50-freeonce.conf"

/* Strings live until the process ends: a command that reads one unit. */
const char *fo_keep(const char *text, size_t length);
const char *fo_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

struct fo_list {
    const char **items;
    size_t count;
};

void fo_list_add(struct fo_list *list, const char *item);
void fo_list_free(struct fo_list *list);
bool fo_list_has(const struct fo_list *list, const char *item);

struct fo_entry {
    const char *key, *value, *file;
};

struct fo_unit {
    const char *name;     /* "postfix@-.service" */
    const char *prefix;   /* "postfix" */
    const char *instance; /* "-"; "" where there is none */
    bool is_template;     /* "postfix@.service": the instance is not known */
    const char *file;     /* the unit's own file; NULL until it was read */
    struct fo_entry *entries;
    size_t count;
    bool has_service;
    struct fo_list unexpanded; /* specifiers that only the manager can expand */
};

/* `name` with or without ".service", or with a path before it.  FO_EXIT_USAGE after a message when
 * it cannot be the name of a service. */
enum fo_exit fo_unit_name(struct fo_unit *unit, const char *name);
void fo_unit_free(struct fo_unit *unit);

/* Take one file in, or what `systemctl cat` prints of several (each after a comment with its path).
 * What we wrote ourselves is passed over.  `text` must end with a NUL that `length` does not count.
 */
enum fo_exit fo_unit_parse(struct fo_unit *unit, const char *file, const char *text, size_t length);

/* The last value of `key`, specifiers expanded; NULL if unset or emptied. */
const char *fo_unit_value(struct fo_unit *unit, const char *key);
bool fo_unit_flag(struct fo_unit *unit, const char *key);
/* systemd's idea of a boolean. */
bool fo_is_yes(const char *value);

/* All lines of `key` since it was emptied, as they are written; and all words of these lines,
 * unquoted, specifiers expanded.  The caller frees the list. */
struct fo_list fo_unit_lines(const struct fo_unit *unit, const char *key);
struct fo_list fo_unit_words(struct fo_unit *unit, const char *key);
/* The words of one line. */
void fo_unit_split(struct fo_unit *unit, const char *line, struct fo_list *words);
const char *fo_unit_expand(struct fo_unit *unit, const char *text);

/* Find and read the unit: fo_unit_load() asks systemctl, or looks below `root` as systemd would
 * where no manager runs; fo_unit_load_file() takes a file and the drop-ins beside it. */
enum fo_exit fo_unit_load(struct fo_unit *unit, const char *root);
enum fo_exit fo_unit_load_file(struct fo_unit *unit, const char *path);

#endif
