/* How is the value of an option written?  For each kind of options.def, one function reads it and
 * one writes it. */
#ifndef FO_OPTIONS_VALUES_H
#define FO_OPTIONS_VALUES_H

#include "base/format.h"
#include "options/options.h"

/* fo_parse_KIND() leaves *out as it is if it returns false.  fo_show_KIND() writes what
 * fo_parse_KIND() can read. */
#define FO_KIND(kind)                                                                              \
    bool fo_parse_##kind(fo_option_##kind *out, const char *value, const char *choices);           \
    void fo_show_##kind(struct fo_text *t, const fo_option_##kind *v, const char *choices);
FO_KIND(text)
FO_KIND(place)
FO_KIND(flag)
FO_KIND(size)
FO_KIND(rate)
FO_KIND(choice)
FO_KIND(cures)
FO_KIND(action)
#undef FO_KIND

/* Is it a number of bytes that these choices of an option of kind size describe? */
bool fo_counts_bytes(const char *choices);

/* The name of cure 1 << i (enum fo_cure). */
extern const char *const fo_cure_names[FO_CURE_COUNT];

#endif
