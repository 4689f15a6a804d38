/* A timer and a service of systemd that write the metrics of all guarded processes for
 * node_exporter: `freeonce systemd --metrics`. */
#ifndef FO_CLI_SYSTEMD_METRICS_H
#define FO_CLI_SYSTEMD_METRICS_H

#include "cli/exit.h"

enum fo_metrics_do { FO_METRICS_PRINT, FO_METRICS_INSTALL, FO_METRICS_REMOVE };

/* `folder`: of node_exporter's textfile collector; NULL: look for it.  Below `root` ("" is this
 * system). */
enum fo_exit fo_metrics_units(enum fo_metrics_do what, const char *folder, const char *root);

#endif
