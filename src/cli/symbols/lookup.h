/* Functions, files and lines of the addresses of one module, from a child that reads its file. */
#ifndef FO_CLI_SYMBOLS_LOOKUP_H
#define FO_CLI_SYMBOLS_LOOKUP_H

#include "cli/symbols/reader.h"

enum {
    FO_LOOKUP_SECONDS = 120,   /* to wait for the child of one file */
    FO_LOOKUP_FAILURES = 3,    /* after so many files that failed, no other file is read */
    FO_LOOKUP_TEXT = 64 << 20, /* bytes of functions and files */
};

/* The rest of the limits of one report. */
struct fo_lookup_bounds {
    bool all; /* files of any owner */
    int failures;
    bool is_stopped; /* no other file is tried */
    size_t text;
};

/* Fill in what the module's file has.  Prints the reason if the file exists and cannot be read. */
void fo_lookup(struct fo_model *model, const struct fo_symbols_wanted *wanted,
               struct fo_lookup_bounds *bounds);

#endif
