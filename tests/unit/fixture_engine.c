/* The fixture of most unit tests: the whole engine. */
#include "fixture.h"
#include "load/engine.h"

bool fixture_begin(void)
{
    return fo_engine_start();
}
