/* Memory that held a secret. */
#ifndef FO_BASE_WIPE_H
#define FO_BASE_WIPE_H

#include <stddef.h>

/* Zero it, although nothing reads it afterwards.  explicit_bzero(3) is not in glibc before 2.25. */
void fo_wipe(void *memory, size_t size);

#endif
