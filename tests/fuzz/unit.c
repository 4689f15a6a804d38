/* A unit file and a file of its EnvironmentFile=, through all plans, to the text of the drop-in:
 * each line of it must be a comment, the section, or a setting that the command writes.
 * Input: a byte of flags, the unit up to a NUL, the file /e. */
#include "cli/systemd/unit.c" /* for the list of its memory, which is freed after each input */

#include "input.h"

#include <fcntl.h>
#include <unistd.h>

#include "cli/systemd/notes.h"

static char root[] = "/dev/shm/fuzz-unit-XXXXXX", environment[sizeof root + 2];
static int environment_fd;

static void remove_root(void)
{
    unlink(environment);
    rmdir(root);
}

static void make_root(void)
{
    if (mkdtemp(root) == NULL)
        abort();
    snprintf(environment, sizeof environment, "%s/e", root);
    environment_fd = open(environment, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (environment_fd < 0)
        abort();
    atexit(remove_root);
}

static void write_environment(const struct input *in)
{
    if (ftruncate(environment_fd, 0) != 0 ||
        pwrite(environment_fd, in->at, in->left, 0) != (ssize_t)in->left)
        abort();
}

static bool is_setting(const char *line)
{
    static const char *const ours[] = {
        "Environment=",      "UnsetEnvironment=",       "ReadWritePaths=", "BindReadOnlyPaths=",
        "ExecPaths=",        "LogsDirectory=",          "StateDirectory=", "CacheDirectory=",
        "SystemCallFilter=", "RestrictAddressFamilies="};

    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        if (strncmp(line, ours[i], strlen(ours[i])) == 0)
            return true;
    return false;
}

static void check_line(const char *line, size_t length, unsigned *sections)
{
    bool good = length == 0 || *line == '#' || is_setting(line);

    if (length == 9 && strncmp(line, "[Service]", 9) == 0)
        good = ++*sections == 1;
    for (size_t i = 0; i < length; i++)
        good &= (unsigned char)line[i] >= ' ' && line[i] != 0x7f;
    if (length > 0 && *line != '#' && line[length - 1] == '\\') /* systemd would join the lines */
        good = false;
    if (good)
        return;
    fprintf(stderr, "not a line of the command's: %.*s\n", (int)length, line);
    abort();
}

static void check(const char *dropin)
{
    unsigned sections = 0;

    for (size_t n; *dropin != '\0'; dropin += n + (dropin[n] == '\n')) {
        n = strcspn(dropin, "\n");
        check_line(dropin, n, &sections);
    }
}

static void make_plan(struct fo_unit *unit, uint8_t ways)
{
    struct fo_list set = {0};
    struct fo_plan plan = {.unit = unit,
                           .root = root,
                           .library = "/usr/lib/x86_64-linux-gnu/libfreeonce.so.0",
                           .journal = (ways & 4) != 0 ? "/var/log/a b%/j" : NULL,
                           .log = (ways & 8) != 0 ? "/run/l\"" : NULL};

    if ((ways & 16) != 0)
        fo_list_add(&set, "FREEONCE_QUARANTINE=1M");
    fo_plan_make(&plan, &set);
    char *dropin = fo_plan_text(&plan);
    check(dropin);
    free(dropin);
    fo_plan_free(&plan);
    fo_list_free(&set);
}

static void free_strings(void)
{
    for (struct kept *next; all_kept != NULL; all_kept = next) {
        next = all_kept->next;
        free(all_kept);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"sipd", "a-b@x.service", "t@", "x\\x2d@-y"};
    struct input in = {data, size};
    struct fo_unit unit = {0};
    uint8_t ways = input_byte(&in);
    size_t length = strnlen((const char *)in.at, in.left);
    char *text = malloc(length + 1);

    if (*environment == '\0')
        make_root();
    input_piece(&in, text, length);
    text[length] = '\0';
    input_byte(&in);
    write_environment(&in);
    if (fo_unit_name(&unit, names[ways % 4]) == FO_EXIT_OK &&
        fo_unit_parse(&unit, "f.service", text, length) == FO_EXIT_OK)
        make_plan(&unit, ways);
    fo_unit_free(&unit);
    free_strings();
    free(text);
    return 0;
}
