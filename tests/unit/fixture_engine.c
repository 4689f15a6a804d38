/* What most unit tests start: the engine, with all that it needs. */
#include "fixture.h"
#include "load/engine.h"

bool fixture_begin(void)
{
    return fo_engine_start();
}
