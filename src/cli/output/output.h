/* The flags that run and report have in common: formats and their files, suppressions, the exit
 * status; and writing all outputs. */
#ifndef FO_CLI_OUTPUT_OUTPUT_H
#define FO_CLI_OUTPUT_OUTPUT_H

#include <argp.h>

#include "cli/output/format.h"
#include "cli/output/suppress.h"
#include "cli/symbols/symbols.h"

enum { FO_OUTPUTS_MAX = 16, FO_SUPPRESSION_FILES_MAX = 64 };

struct fo_outputs {
    struct {
        const struct fo_format *format;
        const char *path; /* NULL: the default */
        FILE *file;
    } list[FO_OUTPUTS_MAX];
    int count;
    FILE *fallback; /* for a format without -o: stdout */
    FILE *text;     /* for the text that is written without --format */
    const char *suppression_files[FO_SUPPRESSION_FILES_MAX];
    int suppression_file_count;
    struct fo_suppression *suppressions; /* what is in them */
    bool generate;                       /* --gen-suppressions */
    enum fo_symbols symbols;
    bool processes; /* --processes */
    int exit_code;  /* when there are findings */
};

void fo_outputs_init(struct fo_outputs *outputs, FILE *text);

/* A child parser; its input is struct fo_outputs. */
extern const struct argp fo_outputs_argp;

/* Read the suppressions and open all files.  FO_EXIT_OK, or an exit status after a message. */
int fo_outputs_open(struct fo_outputs *outputs);

/* Resolve symbols, apply suppressions, write all formats.  FO_EXIT_OK, or an exit status after a
 * message: an output was not written. */
int fo_outputs_write(struct fo_outputs *outputs, struct fo_model *model,
                     const struct fo_run_shown *run);

void fo_outputs_close(struct fo_outputs *outputs);

#endif
