/* Can this description be?  Everything that is read by it relies on that. */
#ifndef FO_CLI_INSPECT_CHECK_H
#define FO_CLI_INSPECT_CHECK_H

#include <stdbool.h>

#include "load/description.h"

bool fo_description_is_sound(const struct fo_description *d);

#endif
