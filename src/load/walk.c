/* freeonce_walk(): a look at the whole heap, for whoever asks for it by name with dlsym(3); see
 * backend/region_walk.h. */
#include "backend/region_walk.h"

FO_EXPORT bool freeonce_walk(struct fo_walk *out);

FO_EXPORT bool freeonce_walk(struct fo_walk *out)
{
    return fo_region_walk(out, NULL, NULL);
}
