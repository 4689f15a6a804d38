/* Lists of numbers without locks: a stack whose head is one word, number and count of changes
 * together, so that a compare-and-exchange is not misled by a number that came back (Treiber 1986).
 * Elements have the number of the next one as their first member.
 *
 * What is on its way into or out of a list is in nobody's hands.  So whoever moves something writes
 * down its number first, in `seen`, and takes it away once it is said elsewhere who has it; that is
 * how others find what somebody vanished with (region_adopt.c). */
#ifndef FO_BACKEND_REGION_LIST_H
#define FO_BACKEND_REGION_LIST_H

#include "core/base.h"

typedef uint64_t fo_list;

void fo_list_push(fo_list *list, void *elements, size_t size, uint32_t number);

/* *seen stays set; the caller sets it to 0 later. */
uint32_t fo_list_pop(fo_list *list, const void *elements, size_t size, uint32_t *seen);

/* Is it in the list?  *changes tells the state of the list for which the answer holds. */
enum fo_listed { FO_LISTED_NO, FO_LISTED_YES, FO_LISTED_UNKNOWN };
enum fo_listed fo_list_has(const fo_list *list, const void *elements, size_t size, uint32_t most,
                           uint32_t number, uint32_t *changes);

#endif
