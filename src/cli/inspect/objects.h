/* Which kind of object is a block?  Known by the line of OpenSSL that allocated it and its size,
 * for the versions of OpenSSL in object_sites.def, which scripts/object-sites measures. */
#ifndef FO_CLI_INSPECT_OBJECTS_H
#define FO_CLI_INSPECT_OBJECTS_H

#include <stdbool.h>

#include "cli/inspect/target.h"

#define FO_NO_OBJECT "other, " /* in front of the line of what is no known object */

enum { FO_OBJECT_VERSION = 16 };

/* The version of OpenSSL in what the library says of how it was loaded, "in front of OpenSSL 3.0.22
 * (linked)".  False: there is none, or there are two. */
bool fo_object_version(const char *how, char version[FO_OBJECT_VERSION]);

/* The object that this line of that version allocates, of this size; NULL: it is not known. */
const char *fo_object_at(const char *version, const char *file, int line, uint64_t size);

struct fo_objects;

/* For the OpenSSL in this process; without memory the command ends. */
struct fo_objects *fo_objects_start(struct fo_target *t);
void fo_objects_free(struct fo_objects *o);

/* NULL, or why no object is known in this process: words for people. */
const char *fo_objects_doubt(const struct fo_objects *o);

/* A small number that stands for a kind of object, or the site. */
uint64_t fo_object_key(struct fo_objects *o, uint64_t site, uint64_t size);

/* Is it memory of OpenSSL's QUIC, whose connections are no SSL of the table? */
bool fo_object_is_quic(struct fo_objects *o, uint64_t site);

/* "X509"; NULL: the key is a site. */
const char *fo_object_name(uint64_t key);

#endif
