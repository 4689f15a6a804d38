/* OpenSSL's functions that change a long-lived object: in shared memory, did another process make
 * the object?  changes.def lists them; entries_changes.c defines OpenSSL's names. */
#ifndef FO_LOAD_CHANGES_H
#define FO_LOAD_CHANGES_H

#include "base/base.h"

/* The next step of a call: jump to `target`; if that is NULL, return `answer`. */
struct fo_change {
    void *target;
    uintptr_t answer;
};

/* Judge a call of the function of this entry (2 * row, + 1 for OpenSSL 4) by the code at `caller`.
 * `arguments`: the registers of the first six arguments. */
struct fo_change fo_change_judge(size_t entry, const uintptr_t *arguments, uintptr_t caller);

/* The library's definition of this name for OpenSSL 3 or 4; NULL: there is none. */
void *fo_change_entry(const char *name, unsigned major);

/* Another OpenSSL was loaded; see fo_objects_forget(). */
void fo_changes_forget(void);

#endif
