/* The file `environment` of a PostgreSQL cluster of Debian.  pg_ctlcluster, which the unit calls,
 * empties the environment and fills it from this file: a drop-in would guard nothing. */
#ifndef FO_CLI_SYSTEMD_CLUSTER_H
#define FO_CLI_SYSTEMD_CLUSTER_H

#include "cli/systemd/notes.h"

/* The file of the cluster that this unit (postgresql@15-main) starts, without --root; NULL: it is
 * no such unit. */
const char *fo_cluster_file(const struct fo_unit *unit);

/* The lines for the file: printed, or put at its end in place of those that were put there before.
 * Nothing else in it is changed. */
enum fo_exit fo_cluster_print(struct fo_plan *plan, const struct fo_list *set);
enum fo_exit fo_cluster_install(struct fo_plan *plan, const struct fo_list *set);

/* Take these lines out again.  *found: there were some. */
enum fo_exit fo_cluster_remove(const struct fo_unit *unit, const char *root, bool *found);

#endif
