/* The file mapped, its rows, strings and modules: see journal.h.  How the file is made is in
 * journal_make.c, rows of processes are in journal_process.c, findings in journal_finding.c. */
#include "report/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stddef.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/apart.h"
#include "base/elf.h"
#include "base/errors.h"
#include "base/probe.h"
#include "base/raw.h"
#include "base/say.h"
#include "options/options.h"
#include "process/fault.h"
#include "report/open.h"

struct fo_journal *fo_journal;

static const char *reason; /* why no journal is open; NULL: one is, or none is asked for */
static bool is_wanted;     /* the file is to be made when an OpenSSL is loaded */
static bool is_exposed;    /* users other than this one and root can truncate it */
static bool is_given_up;   /* it was truncated */
static char executable[sizeof(((struct fo_journal_module *)NULL)->path)];

/* --- the file --------------------------------------------------------------------------------- */

static const char *map(int fd)
{
    const char *why = fo_journal_prepare(fd);

    if (why != NULL)
        return why;
    struct stat st;
    fo_journal = fo_apart_map_file(sizeof *fo_journal, fd);
    if (fo_journal == NULL)
        return fo_error_words(errno);
    is_exposed = fo_raw_stat(fd, &st) != 0 || (st.st_uid != 0 && st.st_uid != fo_raw_euid()) ||
                 (st.st_mode & (S_IWGRP | S_IWOTH)) != 0;
    return NULL;
}

/* Relaxed: the file's mapping is checked at each use, or replaced by the signal handler that sets
 * this. */
bool fo_journal_is_kept(void)
{
    return fo_journal != NULL && !FO_RELAXED_LOAD(&is_given_up);
}

/* All of it is there, and no process has laid it out anew. */
static bool is_whole(void)
{
    uintptr_t start = (uintptr_t)fo_journal;

    return fo_is_readable(start + sizeof *fo_journal - 8, 8) &&
           fo_is_readable(start, sizeof(struct fo_journal_head)) &&
           memcmp(fo_journal->head.magic, FO_JOURNAL_MAGIC, sizeof fo_journal->head.magic) == 0;
}

bool fo_journal_is_usable(void)
{
    static bool is_reported;

    if (fo_journal == NULL)
        return false;
    if (fo_journal_is_kept() && is_whole())
        return true;
    FO_RELAXED_STORE(&is_given_up, true);
    if (!__atomic_exchange_n(&is_reported, true, __ATOMIC_RELAXED))
        fo_say_words("FREEONCE_JOURNAL=", fo_options.journal,
                     " was truncated; findings are not kept there any more", NULL);
    return false;
}

/* Private memory replaces the mapping, and takes the write that failed. */
static bool on_bus_error(siginfo_t *info, void *context)
{
    uintptr_t at = (uintptr_t)info->si_addr - (uintptr_t)fo_journal;

    (void)context;
    if (at >= sizeof *fo_journal || !fo_apart_map_over(fo_journal, sizeof *fo_journal, MAP_PRIVATE))
        return false;
    FO_RELAXED_STORE(&is_given_up, true);
    return true;
}

void fo_journal_watch(void)
{
    if (fo_journal != NULL && is_exposed)
        fo_fault_watch(SIGBUS, on_bus_error);
}

static void find_dlopen(const struct fo_module *module, void *found)
{
    struct fo_module own;

    if (fo_elf_module((uintptr_t)find_dlopen, &own) && own.dynamic != module->dynamic)
        *(bool *)found |=
            fo_elf_has_import(module, "dlopen") || fo_elf_has_import(module, "dlmopen");
}

/* Can the program load an OpenSSL later?  It may be in a chroot or a sandbox by then. */
static bool can_load(void)
{
    unsigned long long seen = 0;
    bool found = false;

    fo_elf_each(find_dlopen, &found, &seen);
    return found;
}

/* The length of the name of the socket of the `freeonce run` whose journal this is; 0: none. */
static size_t run_name_length(void)
{
    size_t n = strcspn(fo_run_told, ":");
    bool is_its_journal =
        fo_run_told[n] == ':' && strcmp(fo_run_told + n + 1, fo_options.journal) == 0;

    return is_its_journal ? n : 0;
}

/* Else the run would report success.  Each user can reach an abstract socket, from each root
 * folder; sending a datagram does not wait. */
static void report_to_run(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t n = run_name_length();

    if (n == 0 || n >= sizeof to.sun_path || fo_is_filtered())
        return;
    memcpy(to.sun_path + 1, fo_run_told, n);
    int fd = fo_raw_local_socket();
    if (fd < 0)
        return;
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n);
    if (fo_raw_connect(fd, (struct sockaddr *)&to, size) == 0)
        (void)fo_raw_write(fd, "", 1);
    fo_raw_close(fd);
}

/* In a mount namespace of its own this process would make a journal that `freeonce run` does not
 * read. */
static bool is_missing_for_run(void)
{
    struct stat st;

    return run_name_length() != 0 && fo_raw_stat_path(fo_options.journal, &st) != 0 &&
           errno == ENOENT;
}

static void open_file(void)
{
    if (is_missing_for_run()) {
        reason = "No such file or directory";
        return;
    }
    int fd = fo_open_to_write(fo_options.journal, O_RDWR, 0600, &reason);

    if (fd < 0)
        return;
    reason = map(fd);
    fo_raw_close(fd);
}

/* Without /proc: as it was executed; of a script, that is the script. */
static void name_as_executed(void)
{
    const char *name = (const char *)getauxval(AT_EXECFN);
    struct fo_text t = {executable, sizeof executable - 1, 0};

    if (name == NULL)
        return;
    if (name[0] != '/' && syscall(SYS_getcwd, executable, sizeof executable - 1) > 1) {
        t.used = strlen(executable);
        fo_put(&t, "/");
    }
    fo_put(&t, name);
    executable[t.used] = '\0';
}

static void name_executable(void)
{
    ssize_t n = fo_raw_read_link_path("/proc/self/exe", executable, sizeof executable - 1);

    executable[n > 0 ? n : 0] = '\0';
    if (n <= 0)
        name_as_executed();
}

void fo_journal_open(void)
{
    int saved_errno = errno;
    struct stat st;

    if (fo_options.journal[0] == '\0')
        return;
    name_executable();
    is_wanted = fo_raw_stat_path(fo_options.journal, &st) != 0 && errno == ENOENT && !can_load();
    if (!is_wanted)
        open_file();
    errno = saved_errno;
}

void fo_journal_make(void)
{
    int saved_errno = errno;

    if (is_wanted)
        open_file();
    is_wanted = false;
    errno = saved_errno;
}

bool fo_journal_report_error(void)
{
    if (reason == NULL)
        return true;
    fo_say_words("FREEONCE_JOURNAL=", fo_options.journal, " cannot be used: ", reason,
                 "; findings are not kept there", NULL);
    report_to_run();
    return false;
}

/* --- rows ------------------------------------------------------------------------------------- */

struct fo_journal_row *fo_journal_claim(void *table, size_t row_size, uint32_t rows, uint64_t key,
                                        bool *is_new)
{
    for (uint32_t i = 0; i < rows; i++) {
        size_t at = ((key >> 32) + i) % rows;
        struct fo_journal_row *row = (struct fo_journal_row *)((char *)table + at * row_size);
        uint64_t none = 0;
        *is_new = __atomic_compare_exchange_n(&row->key, &none, key, false, __ATOMIC_ACQ_REL,
                                              __ATOMIC_ACQUIRE);
        if (*is_new || none == key)
            return row;
    }
    return NULL;
}

void fo_journal_finish(struct fo_journal_row *row, const void *body, size_t size)
{
    row->check = fo_journal_check(body, size);
    __atomic_store_n(&row->state, FO_JOURNAL_WRITTEN, __ATOMIC_RELEASE);
}

static uint64_t hash_of(uint64_t hash, const void *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ ((const unsigned char *)data)[i]) * UINT64_C(0x100000001b3);
    return (hash ^ hash >> 29) * UINT64_C(0x9e3779b97f4a7c15) | 1;
}

uint32_t fo_journal_intern(const char *text)
{
    bool is_new;

    if (text == NULL)
        return 0;
    struct fo_journal_string *s = (struct fo_journal_string *)fo_journal_claim(
        fo_journal->strings, sizeof *s, FO_JOURNAL_STRINGS, hash_of(1, text, strlen(text)),
        &is_new);
    if (s == NULL) {
        __atomic_add_fetch(&fo_journal->counters.dropped.strings, 1, __ATOMIC_RELAXED);
        return 0;
    }
    if (is_new) {
        memcpy(s->text, text, strnlen(text, sizeof s->text - 1));
        fo_journal_finish(&s->row, s->text, sizeof s->text);
    }
    return (uint32_t)(s - fo_journal->strings) + 1;
}

static uint32_t module_row(const struct fo_module *module, const char *path)
{
    const unsigned char *id = NULL;
    size_t length = fo_elf_build_id(module, &id);
    bool is_new;

    if (length > sizeof fo_journal->modules->build_id)
        length = sizeof fo_journal->modules->build_id;
    struct fo_journal_module *m = (struct fo_journal_module *)fo_journal_claim(
        fo_journal->modules, sizeof *m, FO_JOURNAL_MODULES,
        hash_of(hash_of(2, path, strlen(path)), id, length), &is_new);
    if (m == NULL) {
        __atomic_add_fetch(&fo_journal->counters.dropped.modules, 1, __ATOMIC_RELAXED);
        return 0;
    }
    if (is_new) {
        m->build_id_length = (uint32_t)length;
        if (length != 0)
            memcpy(m->build_id, id, length);
        memcpy(m->path, path, strnlen(path, sizeof m->path - 1));
        fo_journal_finish(&m->row, &m->build_id_length,
                          sizeof *m - offsetof(struct fo_journal_module, build_id_length));
    }
    return (uint32_t)(m - fo_journal->modules) + 1;
}

struct fo_journal_code fo_journal_code(uintptr_t address)
{
    struct fo_module module;
    const char *path;

    if (address == 0)
        return (struct fo_journal_code){{0}, 0, 0};
    if (!fo_elf_module(address, &module))
        return (struct fo_journal_code){{0}, 0, address};
    path = module.executable ? executable : module.path;
    return (struct fo_journal_code){{module_row(&module, path)}, 0, address - module.base};
}
