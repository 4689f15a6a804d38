/* What did the user ask for?  Read once from the environment block at load, before anybody can
 * change it; everything else reads fo_options.  The rows are in options.def. */
#ifndef FO_CORE_OPTIONS_H
#define FO_CORE_OPTIONS_H

#include "core/base.h"

enum fo_on_error { FO_ON_ERROR_SKIP, FO_ON_ERROR_ABORT, FO_ON_ERROR_EXIT };
enum { FO_FOREIGN_REPORT, FO_FOREIGN_FREE };          /* order of the choices in options.def */
enum { FO_SHARED_AUTO, FO_SHARED_NO, FO_SHARED_YES }; /* the same */
enum fo_cure { FO_CURE_STATE = 1, FO_CURE_EXIT = 2, FO_CURE_LOCKS = 4, FO_CURE_IDENTITY = 8 };
#define FO_CURES_ALL 15u

/* The status with which FREEONCE_REQUIRE=1 ends a program: EX_CONFIG of sysexits.h. */
#define FO_EXIT_REQUIRE 78

/* The largest N of a rate 1/N. */
#define FO_RATE_MAX 1000000000

#define FO_TEXT_MAX 256
typedef char fo_option_text[FO_TEXT_MAX];
typedef bool fo_option_flag;
typedef size_t fo_option_size;
typedef uint32_t fo_option_rate; /* one in so many; 0: none */
typedef unsigned fo_option_choice;
typedef unsigned fo_option_cures;
typedef struct {
    enum fo_on_error what;
    int status;
} fo_option_action;

struct fo_options {
#define FO_OPTION(member, NAME, kind, choices, fallback, help) fo_option_##kind member;
#include "core/options.def"
#undef FO_OPTION
};

extern struct fo_options fo_options;

/* Set the defaults, then read every FREEONCE_ variable of envp (NULL: defaults only).  Strings
 * are copied: servers overwrite their environment with a process title.  Prints nothing, since
 * most processes never see OpenSSL. */
void fo_options_read(char *const *envp);

/* Tell what fo_options_read() could not understand, with the nearest valid word.  Returns the
 * number of problems. */
unsigned fo_options_complain(void);

/* Write " NAME=value" for every option into out, which always ends with a NUL. */
void fo_options_list(char *out, size_t size);

#endif
