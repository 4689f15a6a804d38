/* See changes.h.  In private memory four instructions pass a call on (entries_changes.c): only the
 * first call is judged here, to find OpenSSL's function.  In the shared heap of backend shm each
 * call is judged here. */
#include "load/changes.h"

#include <errno.h>
#include <string.h>

#include "block/verdict.h"
#include "load/library.h"
#include "load/objects.h"
#include "options/options.h"
#include "process/process.h"
#include "shared/inherited.h"
#include "shared/made.h"

enum row_number {
#define FO_CHANGE(name, type, how, argument, part, since3, since4) ROW_##name,
#include "load/changes.def"
    ROWS,
};

enum how { ANSWERS_0, ANSWERS_1, HELD, COMMAND, GIVES };

/* One struct for all texts: see objects.c. */
static const struct texts {
#define FO_CHANGE(name, type, how, argument, part, since3, since4)                                 \
    char name##_name[sizeof #name], name##_type[sizeof type];
#include "load/changes.def"
} texts = {
#define FO_CHANGE(name, type, how, argument, part, since3, since4) #name, type,
#include "load/changes.def"
};

static const struct row {
    uint16_t name, type; /* in texts */
    uint8_t part, how, argument;
} rows[] = {
#define FO_CHANGE(name, type, how, argument, part, since3, since4)                                 \
    {offsetof(struct texts, name##_name), offsetof(struct texts, name##_type), FO_PART_##part,     \
     how, argument},
#include "load/changes.def"
};
_Static_assert(sizeof texts < UINT16_MAX, "offsets fit");

/* A command that is not in the table may change the object: 0 is COMMAND_CHANGES. */
enum command { COMMAND_CHANGES, COMMAND_READS, COMMAND_ADDS, COMMANDS = 256 };
#define CHANGES COMMAND_CHANGES
#define READS   COMMAND_READS
#define ADDS    COMMAND_ADDS
static const uint8_t commands[COMMANDS] = {
#define FO_COMMAND(command, number, how) [number] = how,
#include "load/changes.def"
};

/* OpenSSL's functions, as in objects.c; the assembler of entries_changes.c reads them, too. */
extern FO_HIDDEN fo_object_function *fo_change_real[];
FO_BEGINNING(4) fo_object_function *fo_change_real[ROWS * 2];
static bool has_found;

/* The parameters that this thread's last call of SSL_get0_param() returned. */
static __thread uintptr_t last_parameters;

static const char *text_at(uint16_t offset)
{
    return (const char *)&texts + offset;
}

void fo_changes_forget(void)
{
    if (!__atomic_exchange_n(&has_found, false, __ATOMIC_SEQ_CST))
        return;
    for (size_t i = 0; i < sizeof fo_change_real / sizeof fo_change_real[0]; i++)
        __atomic_store_n(&fo_change_real[i], NULL, __ATOMIC_SEQ_CST);
}

static fo_object_function *find_real(size_t entry, uintptr_t caller)
{
    const struct row *row = &rows[entry / 2];
    const char *name = text_at(row->name);
    fo_object_function *found = __atomic_load_n(&fo_change_real[entry], __ATOMIC_ACQUIRE);

    if (found != NULL)
        return found;
    __atomic_store_n(&has_found, true, __ATOMIC_SEQ_CST);
    *(void **)&found = fo_library_function((void **)&fo_change_real[entry], row->part,
                                           3 + entry % 2, name, caller);
    return found != NULL ? found : fo_object_find_elsewhere(name);
}

static bool is_read_only(const struct row *row, const uintptr_t *arguments)
{
    unsigned command = (unsigned)arguments[1];

    if (row->how != COMMAND || command >= COMMANDS)
        return false;
    return commands[command] == READS || (commands[command] == ADDS && arguments[2] == 0);
}

static FO_COLD void report(uintptr_t object, const struct row *row, uintptr_t caller)
{
    bool outermost = fo_thread.caller == 0;

    if (outermost)
        fo_thread_enter(caller);
    fo_changed_object(object, text_at(row->type), text_at(row->name),
                      fo_options.shm_changes == FO_SHM_CHANGES_REFUSE
                          ? "refused; a server that does so needs FREEONCE_BACKEND=arena"
                          : "let through; a server that does so needs FREEONCE_BACKEND=arena");
    if (outermost)
        fo_thread_enter(0);
}

/* A process may change the certificate of a peer whose connection another process passed to it.
 * The server's own certificates were made before the fork. */
static bool can_be_passed(const struct row *row, uintptr_t object)
{
    return row->how == HELD && !fo_inherited_has(object);
}

static bool is_refused(const struct row *row, const uintptr_t *arguments, uintptr_t caller)
{
    uintptr_t object = arguments[row->argument - 1];

    if (is_read_only(row, arguments) || object == last_parameters || !fo_made_elsewhere(object) ||
        can_be_passed(row, object))
        return false;
    report(object, row, caller);
    return fo_options.shm_changes == FO_SHM_CHANGES_REFUSE;
}

/* Calls from inside OpenSSL are not judged: they are parts of a call of the program, which was
 * judged. */
static struct fo_change judge(const struct row *row, fo_object_function *real,
                              const uintptr_t *arguments, uintptr_t caller)
{
    struct fo_change forward = {NULL, 0};

    *(fo_object_function **)&forward.target = real;
    /* Relaxed: it is set before the first object is made. */
    if (!FO_RELAXED_LOAD(&fo_made_watched) || fo_libraries_contain(caller))
        return forward;
    if (row->how == GIVES) {
        last_parameters = (uintptr_t)real((void *)arguments[0], NULL);
        return (struct fo_change){NULL, last_parameters};
    }
    if (is_refused(row, arguments, caller))
        return (struct fo_change){NULL, row->how == ANSWERS_1};
    return forward;
}

struct fo_change fo_change_judge(size_t entry, const uintptr_t *arguments, uintptr_t caller)
{
    int saved_errno = errno;
    struct fo_change change = judge(&rows[entry / 2], find_real(entry, caller), arguments, caller);

    errno = saved_errno;
    return change;
}

/* --- for dlsym(3) --------------------------------------------------------------------------------
 */

/* Offsets from the table, not pointers: the dynamic linker would have to relocate those at each
 * start.  Weak: unit tests are linked without the table. */
extern FO_HIDDEN const int32_t fo_change_entries[] __attribute__((weak));

void *fo_change_entry(const char *name, unsigned major)
{
    if (fo_change_entries == NULL || (major != 3 && major != 4))
        return NULL;
    for (size_t i = 0; i < ROWS; i++) {
        int32_t distance = fo_change_entries[i * 2 + (major == 4)];
        if (distance != 0 && strcmp(text_at(rows[i].name), name) == 0)
            return (char *)fo_change_entries + distance;
    }
    return NULL;
}
