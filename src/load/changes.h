/* OpenSSL's functions that change a long-lived object: in shared memory, did another process make
 * it? The table of them is changes.def, what OpenSSL's names lead to is in entries_changes.c. */
#ifndef FO_LOAD_CHANGES_H
#define FO_LOAD_CHANGES_H

#include "base/base.h"

/* Where a call goes on: to the code at `target`, or, if that is NULL, back with this answer. */
struct fo_change {
    void *target;
    uintptr_t answer;
};

/* A call of the function of this entry (2 * row + 1 for OpenSSL 4), with what the registers of the
 * first six arguments hold, by the code at `caller`. */
struct fo_change fo_change_judge(size_t entry, const uintptr_t *arguments, uintptr_t caller);

/* Our definition of this name for OpenSSL 3 or 4; NULL: there is none. */
void *fo_change_entry(const char *name, unsigned major);

/* Another library came; see fo_objects_forget(). */
void fo_changes_forget(void);

#endif
