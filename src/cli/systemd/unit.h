/* The section [Service] of a unit of systemd: the settings in their order, and the values that the
 * manager would read from them.  systemd.syntax(7), systemd.unit(5). */
#ifndef FO_CLI_SYSTEMD_UNIT_H
#define FO_CLI_SYSTEMD_UNIT_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/exit.h"

/* The first words of each drop-in that freeonce writes, by which it recognises them. */
#define FO_DROPIN_MARKER "# Made by freeonce systemd"
#define FO_DROPIN_NAME   "50-freeonce.conf"

/* Strings that are valid until the process ends: it reads only one unit. */
const char *fo_string_copy(const char *text, size_t length);
const char *fo_string_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

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
    const char *instance; /* "-"; "": there is none */
    bool is_template;     /* "postfix@.service": the instance is not known */
    const char *file;     /* the unit's own file; NULL until it is read */
    struct fo_entry *entries;
    size_t count;
    bool has_service;
    bool with_own;             /* set before it is read: drop-ins of freeonce count, too */
    struct fo_list unexpanded; /* specifiers that only the manager can expand */
};

/* `name` with or without ".service", or with a path before it.  FO_EXIT_USAGE, after a message, if
 * it cannot be the name of a service. */
enum fo_exit fo_unit_name(struct fo_unit *unit, const char *name);
void fo_unit_free(struct fo_unit *unit);

/* Add one file to the unit, or several as `systemctl cat` prints them (each after a comment with
 * its path).  Drop-ins of freeonce are ignored unless with_own.  `text` must end with a NUL that
 * `length` does not count. */
enum fo_exit fo_unit_parse(struct fo_unit *unit, const char *file, const char *text, size_t length);

/* The last value of `key`, specifiers expanded; NULL if unset or emptied. */
const char *fo_unit_value(struct fo_unit *unit, const char *key);
bool fo_unit_flag(struct fo_unit *unit, const char *key);
/* Does systemd read this boolean as true? */
bool fo_is_yes(const char *value);

/* All lines of `key` since it was last emptied, as they are written; and all words of these lines,
 * unquoted, specifiers expanded.  The caller frees the list. */
struct fo_list fo_unit_lines(const struct fo_unit *unit, const char *key);
struct fo_list fo_unit_words(struct fo_unit *unit, const char *key);
/* The words of one line. */
void fo_unit_split(struct fo_unit *unit, const char *line, struct fo_list *words);
const char *fo_unit_expand(struct fo_unit *unit, const char *text);

/* Find and read the unit.  fo_unit_load() asks systemctl, or if no manager runs reads the files
 * below `root` as systemd would.  fo_unit_load_file() reads a file and the drop-ins beside it. */
enum fo_exit fo_unit_load(struct fo_unit *unit, const char *root);
enum fo_exit fo_unit_load_file(struct fo_unit *unit, const char *path);

#endif
