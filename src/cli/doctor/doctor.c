/* freeonce doctor: will a program be guarded, is a process guarded, and if not, why? */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/doctor/doctor.h"
#include "cli/exit.h"
#include "cli/flags.h"
#include "cli/library.h"
#include "cli/message.h"

enum { KEY_JSON = 0x100, KEY_LIBRARY };

struct arguments {
    const char *target, *library;
    bool json;
};

static const struct argp_option options[] = {
    {"json", KEY_JSON, NULL, 0, "print JSON", 0},
    {"library", KEY_LIBRARY, "FILE", 0, "the libfreeonce.so to ask about", 0},
    {0}};

static const char text[] =
    "Tells whether the library can guard a program or service, or guards a process, and if not, "
    "why.\v"
    "TARGET is the name or path of a program, the number of a process, a unit of systemd "
    "(NAME.service, or the path of its file), or the folder of a root file system, as of a "
    "container.  Each row is ok, a "
    "warning or a failure; below a warning or a failure is the next command to type.\n\n"
    "Examples:\n"
    "  freeonce doctor nginx\n"
    "  freeonce doctor $(pgrep -o nginx)\n"
    "  freeonce doctor nginx.service\n"
    "  freeonce doctor /var/lib/machines/web\n\n"
    "Exit status: 0 each row is ok, 1 there are warnings, 2 there are failures: the program is not "
    "guarded; 64 wrong usage, 65 no program or root file system, 66 no such program, process, unit "
    "or library, 77 needs "
    "another user.";

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct arguments *a = state->input;

    switch (key) {
    case KEY_JSON:
        a->json = true;
        return 0;
    case KEY_LIBRARY:
        a->library = argument;
        return 0;
    case ARGP_KEY_ARG:
        if (a->target != NULL)
            argp_error(state, "one at a time: \"%s\" is too many", argument);
        a->target = argument;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state,
                   "which program, process, unit or folder? For example: freeonce doctor nginx");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* --- what is meant -------------------------------------------------------------------------------
 */

static bool is_number(const char *word)
{
    return *word != '\0' && word[strspn(word, "0123456789")] == '\0';
}

static bool is_unit(const char *word)
{
    size_t length = strlen(word), end = strlen(".service");

    return length > end && strcmp(word + length - end, ".service") == 0;
}

/* A root file system; a program's name has no slash. */
static bool is_folder(const char *word)
{
    struct stat status;

    return (strchr(word, '/') != NULL || strcmp(word, ".") == 0) && stat(word, &status) == 0 &&
           S_ISDIR(status.st_mode);
}

/* Servers lie where a user's PATH does not look. */
static bool look_up(const char *name, char path[PATH_MAX])
{
    static const char *const folders[] = {"/usr/local/sbin", "/usr/sbin", "/sbin"};

    if (fo_program_look_up(name, path))
        return true;
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        if (snprintf(path, PATH_MAX, "%s/%s", folders[i], name) < PATH_MAX &&
            access(path, X_OK) == 0)
            return true;
    return false;
}

/* --- a program -----------------------------------------------------------------------------------
 */

static unsigned long long limit(int resource)
{
    struct rlimit r;

    return getrlimit((__rlimit_resource_t)resource, &r) == 0 && r.rlim_cur != RLIM_INFINITY
               ? r.rlim_cur
               : ULLONG_MAX;
}

static int check_program(struct fo_doctor *d, const char *path)
{
    const char *backend = getenv("FREEONCE_BACKEND"), *guard = getenv("FREEONCE_GUARD");
    struct fo_subject subject = {
        .name = path, .path = path, .root = "", .user = geteuid(), .group = getegid()};
    struct fo_limits limits = {.addresses = limit(RLIMIT_AS),
                               .locked_memory = limit(RLIMIT_MEMLOCK),
                               .file_size = limit(RLIMIT_FSIZE),
                               .descriptors = limit(RLIMIT_NOFILE)};
    struct fo_program program;

    if (!fo_program_read(&program, path)) {
        int error = errno;
        fo_error("%s cannot be read: %s", path, error != 0 ? strerror(error) : "it is no file");
        fo_program_free(&program);
        return error == EACCES ? FO_EXIT_NO_PERMISSION
               : error != 0    ? FO_EXIT_NO_INPUT
                               : FO_EXIT_DATA;
    }
    enum fo_program_kind kind = program.kind;
    fo_program_free(&program);
    if (kind == FO_PROGRAM_OTHER) {
        fo_error("%s is no program: it is neither an ELF file nor a script", path);
        return FO_EXIT_DATA;
    }
    fo_doctor_program(d, &subject);
    fo_doctor_limits(d, &limits,
                     (backend != NULL && strcmp(backend, "guard") == 0) ||
                         (guard != NULL && strcmp(guard, "0") != 0),
                     false);
    fo_doctor_preloads(d, "", getenv("LD_PRELOAD"));
    return FO_EXIT_OK;
}

static int check(struct fo_doctor *d)
{
    char path[PATH_MAX];

    if (is_number(d->target)) {
        errno = 0;
        long pid = strtol(d->target, NULL, 10);
        if (errno != 0 || pid <= 0 || pid > INT_MAX) {
            fo_error("there is no process %s", d->target);
            return FO_EXIT_NO_INPUT;
        }
        d->kind = "process";
        return fo_doctor_process(d, (pid_t)pid);
    }
    if (is_unit(d->target)) {
        d->kind = "unit";
        return fo_doctor_unit(d, d->target);
    }
    if (is_folder(d->target)) {
        d->kind = "root";
        return fo_doctor_root(d, d->target);
    }
    d->kind = "program";
    if (!look_up(d->target, path) || access(path, F_OK) != 0) {
        fo_error("there is no program %s%s", d->target,
                 strchr(d->target, '/') == NULL ? "; the name of a unit ends with .service" : "");
        return FO_EXIT_NO_INPUT;
    }
    return check_program(d, path);
}

int fo_doctor_main(int argc, char **argv)
{
    static const struct argp argp = {options, parse, "TARGET", text, NULL, NULL, NULL};
    static const int statuses[] = {FO_EXIT_OK, FO_EXIT_WARNINGS, FO_EXIT_FAILURES};
    struct arguments a = {0};

    argp_err_exit_status = FO_EXIT_USAGE;
    fo_flags_check(argc, argv, &argp, false);
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    struct fo_doctor d = {.target = a.target};
    d.library = a.library != NULL ? fo_library_check(a.library) : fo_library_find();
    int status = d.library != NULL ? FO_EXIT_OK : FO_EXIT_NO_INPUT;
    if (status == FO_EXIT_OK)
        status = check(&d);
    if (status == FO_EXIT_OK) {
        fo_doctor_library(&d);
        if (a.json)
            fo_doctor_json(&d);
        else
            fo_doctor_text(&d);
        status = fflush(stdout) == 0 ? statuses[fo_doctor_worst(&d)] : FO_EXIT_CANNOT_WRITE;
    }
    free(d.rows);
    return status;
}
