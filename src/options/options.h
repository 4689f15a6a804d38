/* What did the user ask for?  Read once at load from the environment block and from
 * /etc/freeonce.conf, before the program can change them; all other code reads fo_options.  The
 * rows are in options.def. */
#ifndef FO_OPTIONS_OPTIONS_H
#define FO_OPTIONS_OPTIONS_H

#include "base/base.h"
#include "base/format.h"
#include "options/conf.h"

enum fo_on_error { FO_ON_ERROR_SKIP, FO_ON_ERROR_ABORT, FO_ON_ERROR_EXIT };
enum { FO_FOREIGN_REPORT, FO_FOREIGN_FREE }; /* order of the choices in options.def */
enum { FO_SHM_CHANGES_REFUSE, FO_SHM_CHANGES_REPORT, FO_SHM_CHANGES_ALLOW }; /* the same */
enum { FO_SHARED_AUTO, FO_SHARED_NO, FO_SHARED_YES };                        /* the same */
enum fo_cure { FO_CURE_STATE = 1, FO_CURE_EXIT = 2, FO_CURE_LOCKS = 4, FO_CURE_IDENTITY = 8 };
enum { FO_CURE_COUNT = 4 };
#define FO_CURES_ALL ((1u << FO_CURE_COUNT) - 1)

/* The status with which FREEONCE_REQUIRE=1 ends a program: EX_CONFIG of sysexits.h. */
#define FO_EXIT_REQUIRE 78

/* The largest N of a rate 1/N. */
#define FO_RATE_MAX 1000000000

#define FO_TEXT_MAX 256
typedef char fo_option_text[FO_TEXT_MAX];
typedef char fo_option_place[FO_TEXT_MAX];
typedef bool fo_option_flag;
typedef size_t fo_option_size;
typedef uint32_t fo_option_rate; /* N of 1/N; 0: none */
typedef unsigned fo_option_choice;
typedef unsigned fo_option_cures;
typedef struct {
    enum fo_on_error what;
    int status;
} fo_option_action;

struct fo_options {
#define FO_OPTION(member, NAME, kind, choices, fallback, help, ...) fo_option_##kind member;
#include "options/options.def"
#undef FO_OPTION
};

extern struct fo_options fo_options;

enum fo_option_index {
#define FO_OPTION(member, NAME, kind, choices, fallback, help, ...) FO_INDEX_##NAME,
#include "options/options.def"
#undef FO_OPTION
    FO_OPTION_COUNT
};

enum fo_from { FO_FROM_DEFAULT, FO_FROM_ENVIRONMENT, FO_FROM_FILE };
struct fo_option_source {
    enum fo_from from;
    unsigned line; /* of the file */
};

/* Set the defaults, then read every FREEONCE_ variable of envp (NULL: defaults only).  Strings are
 * copied: servers overwrite their environment with a process title.  Prints nothing, since most
 * processes never load OpenSSL. */
void fo_options_read(char *const *envp);

/* What `freeonce run` passes to the library, in a variable that is no option, N:NAME:JOURNAL: how
 * many wrong variables it has reported, the name of its socket, the path of its journal.
 * fo_run_told is NAME:JOURNAL.  Empty: there is no such run. */
#define FO_RUN_VARIABLE "_FREEONCE_RUN="
extern char fo_run_told[FO_TEXT_MAX + 32];

/* Remove every FREEONCE_ variable, also those that are no options, and FO_RUN_VARIABLE from envp.
 */
void fo_options_remove(char **envp);

/* To be called after fo_options_read(): set what the file has for all programs, and in its sections
 * for this one (its argv[0]), unless the environment has set it.  A later line wins.  With check,
 * lines of other programs and of a file that is ignored can be problems, too.  The file must stay
 * in memory. */
void fo_options_read_conf(struct fo_conf *file, const char *program, bool check);

/* Is the file that was read obeyed?  True also if there is none. */
bool fo_options_are_obeyed(void);

/* The problems: what could not be understood, each in one line that names the nearest valid word.
 * Of very many, the last line has the number of the rest. */
unsigned fo_options_problems(void);
void fo_options_put_problem(struct fo_text *t, unsigned i);

/* The same without ", ignored". */
void fo_options_put_mistake(struct fo_text *t, unsigned i);

/* Has `freeonce run` reported this problem of the environment?  False also if it reported another
 * number of problems than there are. */
bool fo_options_is_reported(unsigned i);

/* Print all problems, except those that are reported already; returns the number of all. */
unsigned fo_options_complain(void);

struct fo_option_source fo_options_source(enum fo_option_index i);
void fo_options_put_value(struct fo_text *t, enum fo_option_index i);

/* Write " NAME=value" for every option into out, which always ends with a NUL. */
void fo_options_list(char *out, size_t size);

/* "/etc/freeonce.conf: LOG (line 2), ..."; false: there is no file, or it is not obeyed. */
bool fo_options_list_file(struct fo_text *t);

#endif
