/* Which of our entry points stands for an OpenSSL name? */
#ifndef FO_LOAD_ENTRIES_H
#define FO_LOAD_ENTRIES_H

/* For a program that asks dlsym(3) for `name` in an OpenSSL of this major version: our definition,
 * or NULL when we have none. */
void *fo_entry_named(const char *name, unsigned major);

#endif
