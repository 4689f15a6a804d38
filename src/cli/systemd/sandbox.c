/* See sandbox.h.  The settings become rules for paths.  The rule with the longest path counts, as
 * in systemd's own table of mounts. */
#include "cli/systemd/sandbox.h"

#include <stdlib.h>
#include <string.h>

#include "cli/message.h"

static void add(struct fo_sandbox *s, const char *path, int kind, const char *why)
{
    if ((s->count & (s->count - 1)) == 0) {
        size_t room = s->count == 0 ? 1 : 2 * s->count;
        struct fo_rule *larger = reallocarray(s->rules, room, sizeof *larger);
        if (larger == NULL) {
            fo_error("out of memory");
            exit(FO_EXIT_SOFTWARE);
        }
        s->rules = larger;
    }
    s->rules[s->count].path = path;
    s->rules[s->count].why = why;
    s->rules[s->count].made = false;
    s->rules[s->count++].kind = (__typeof__(s->rules[0].kind))kind;
}

bool fo_path_below(const char *path, const char *directory)
{
    size_t length = strlen(directory);

    while (length > 0 && directory[length - 1] == '/')
        length--;
    return strncmp(path, directory, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

/* "-": may be missing, "+": below RootDirectory=.  For paths inside the root neither matters. */
static const char *without_prefix(const char *path)
{
    return path + strspn(path, "-+");
}

static void add_paths(struct fo_sandbox *s, struct fo_unit *u, const char *key, int kind)
{
    struct fo_list words = fo_unit_words(u, key);

    for (size_t i = 0; i < words.count; i++) {
        const char *path = without_prefix(words.items[i]);
        add(s, path, kind, fo_string_format("%s=%s", key, path));
    }
    fo_list_free(&words);
}

/* Words SOURCE[:DESTINATION[:OPTIONS]], and PATH[:OPTIONS] of TemporaryFileSystem=. */
static void add_mounts(struct fo_sandbox *s, struct fo_unit *u, const char *key, bool destination)
{
    struct fo_list words = fo_unit_words(u, key);

    for (size_t i = 0; i < words.count; i++) {
        const char *source = without_prefix(words.items[i]);
        size_t length = strcspn(source, ":");
        const char *from = fo_string_copy(source, length), *to = from;
        if (destination && source[length] == ':')
            to = fo_string_copy(source + length + 1, strcspn(source + length + 1, ":"));
        const char *why = fo_string_format("%s=%s", key, words.items[i]);
        /* Bound to the same path, it is the host's directory; to another path, a private one. */
        bool same = destination && strcmp(from, to) == 0;
        add(s, to, same ? FO_MOUNT_BIND : FO_MOUNT_PRIVATE, why);
        if (destination)
            add(s, to, strcmp(key, "BindPaths") == 0 ? FO_ALLOW_WRITE : FO_FORBID_WRITE, why);
    }
    fo_list_free(&words);
}

/* LogsDirectory= and similar: systemd makes the directory, gives it to User=, makes it writable. */
static void add_own_directories(struct fo_sandbox *s, struct fo_unit *u, const char *key,
                                const char *base)
{
    struct fo_list words = fo_unit_words(u, key);

    for (size_t i = 0; i < words.count; i++) {
        const char *name = fo_string_copy(words.items[i], strcspn(words.items[i], ":"));
        const char *path = fo_string_format("%s/%s", base, name),
                   *why = fo_string_format("%s=%s", key, name);
        add(s, path, FO_MOUNT_BIND, why);
        s->rules[s->count - 1].made = true;
        add(s, path, FO_ALLOW_WRITE, why);
        if (i == 0 && strcmp(key, "LogsDirectory") == 0)
            s->logs = path;
    }
    fo_list_free(&words);
}

static void add_protect_system(struct fo_sandbox *s, struct fo_unit *u)
{
    const char *value = fo_unit_value(u, "ProtectSystem");

    if (value == NULL && s->dynamic_user)
        value = "strict";
    if (value == NULL)
        return;
    bool strict = strcmp(value, "strict") == 0, full = strcmp(value, "full") == 0;
    const char *why = s->dynamic_user && fo_unit_value(u, "ProtectSystem") == NULL
                          ? "ProtectSystem=strict of DynamicUser="
                          : fo_string_format("ProtectSystem=%s", value);
    if (strict) {
        static const char *const open[] = {"/dev", "/proc", "/sys", "/home", "/root", "/run/user"};
        add(s, "/", FO_FORBID_WRITE, why);
        for (size_t i = 0; i < sizeof open / sizeof open[0]; i++)
            add(s, open[i], FO_ALLOW_WRITE, why);
    } else if (full || fo_is_yes(value)) {
        add(s, "/usr", FO_FORBID_WRITE, why);
        add(s, "/boot", FO_FORBID_WRITE, why);
        add(s, "/efi", FO_FORBID_WRITE, why);
        if (full)
            add(s, "/etc", FO_FORBID_WRITE, why);
    }
}

static void add_protect_home(struct fo_sandbox *s, struct fo_unit *u)
{
    static const char *const homes[] = {"/home", "/root", "/run/user"};
    const char *value = fo_unit_value(u, "ProtectHome");
    int kind = FO_MOUNT_HIDDEN;

    if (value == NULL && s->dynamic_user)
        value = "read-only";
    if (value != NULL && strcmp(value, "read-only") == 0)
        kind = FO_FORBID_WRITE;
    else if (value != NULL && strcmp(value, "tmpfs") == 0)
        kind = FO_MOUNT_PRIVATE;
    else if (!fo_is_yes(value))
        return;
    for (size_t i = 0; i < sizeof homes / sizeof homes[0]; i++)
        add(s, homes[i], kind, fo_string_format("ProtectHome=%s", value));
}

void fo_sandbox_read(struct fo_sandbox *s, struct fo_unit *u)
{
    const char *user = fo_unit_value(u, "User"), *root = fo_unit_value(u, "RootDirectory");
    const char *image = fo_unit_value(u, "RootImage");

    *s = (struct fo_sandbox){.dynamic_user = fo_unit_flag(u, "DynamicUser")};
    s->is_root =
        !s->dynamic_user && (user == NULL || strcmp(user, "root") == 0 || strcmp(user, "0") == 0);
    s->user = s->is_root ? "root" : user == NULL ? "a dynamic user" : user;
    if (root != NULL && strcmp(without_prefix(root), "/") != 0)
        s->root = fo_string_format("RootDirectory=%s", without_prefix(root));
    else if (image != NULL)
        s->root = fo_string_format("RootImage=%s", image);
    add_protect_system(s, u);
    add_protect_home(s, u);
    if (s->dynamic_user || fo_unit_flag(u, "PrivateTmp")) {
        const char *why = s->dynamic_user ? "PrivateTmp= of DynamicUser=" : "PrivateTmp=yes";
        add(s, "/tmp", FO_MOUNT_PRIVATE, why);
        add(s, "/var/tmp", FO_MOUNT_PRIVATE, why);
        add(s, "/tmp", FO_ALLOW_WRITE, why);
        add(s, "/var/tmp", FO_ALLOW_WRITE, why);
    }
    if (fo_unit_flag(u, "PrivateDevices"))
        add(s, "/dev", FO_MOUNT_PRIVATE, "PrivateDevices=yes");
    add_paths(s, u, "ReadOnlyPaths", FO_FORBID_WRITE);
    add_paths(s, u, "ReadWritePaths", FO_ALLOW_WRITE);
    add_paths(s, u, "InaccessiblePaths", FO_MOUNT_HIDDEN);
    add_mounts(s, u, "TemporaryFileSystem", false);
    add_mounts(s, u, "BindPaths", true);
    add_mounts(s, u, "BindReadOnlyPaths", true);
    add_own_directories(s, u, "LogsDirectory", "/var/log");
    add_own_directories(s, u, "StateDirectory", "/var/lib");
    add_own_directories(s, u, "CacheDirectory", "/var/cache");
    add_own_directories(s, u, "RuntimeDirectory", "/run");
}

void fo_sandbox_free(struct fo_sandbox *sandbox)
{
    free(sandbox->rules);
    sandbox->rules = NULL;
    sandbox->count = 0;
}

bool fo_sandbox_makes(const struct fo_sandbox *s, const char *path)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->rules[i].made && fo_path_below(path, s->rules[i].path))
            return true;
    return false;
}

/* The rule for `path` with the longest path, of two kinds; of equal lengths, that of the kind
 * `stronger`. */
static const struct fo_rule *decide(const struct fo_sandbox *s, const char *path, int stronger,
                                    int weaker)
{
    const struct fo_rule *best = NULL;

    for (size_t i = 0; i < s->count; i++) {
        const struct fo_rule *r = &s->rules[i];
        if (((int)r->kind != stronger && (int)r->kind != weaker) || !fo_path_below(path, r->path))
            continue;
        size_t length = strlen(r->path), longest = best == NULL ? 0 : strlen(best->path);
        if (best == NULL || length > longest || (length == longest && (int)r->kind == stronger))
            best = r;
    }
    return best;
}

enum fo_access fo_sandbox_access(const struct fo_sandbox *s, const char *path, const char **why)
{
    const struct fo_rule *hidden = decide(s, path, FO_MOUNT_HIDDEN, FO_MOUNT_HIDDEN);
    const struct fo_rule *mounted = decide(s, path, FO_MOUNT_BIND, FO_MOUNT_PRIVATE);
    const struct fo_rule *write = decide(s, path, FO_FORBID_WRITE, FO_ALLOW_WRITE);

    *why = "";
    if (hidden != NULL) { /* systemd drops every mount below an inaccessible path */
        *why = hidden->why;
        return FO_HIDDEN;
    }
    if (mounted == NULL ? s->root != NULL : mounted->kind == FO_MOUNT_PRIVATE) {
        *why = mounted == NULL ? s->root : mounted->why;
        return FO_PRIVATE;
    }
    if (write != NULL && write->kind == FO_FORBID_WRITE) {
        *why = write->why;
        return FO_READ_ONLY;
    }
    return FO_WRITABLE;
}
