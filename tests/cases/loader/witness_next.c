/* The second library in line that defines witness_name. */
#include "witness.h"

const char *witness_name(void)
{
    return "the second library";
}
