/* The drop-in as a file of the system: written whole or not at all, and only over an older one that
 * freeonce made. */
#ifndef FO_CLI_SYSTEMD_INSTALL_H
#define FO_CLI_SYSTEMD_INSTALL_H

#include "cli/systemd/unit.h"

/* Below `root` ("" is this system).  Then daemon-reload, if a manager runs and root is "". */
enum fo_exit fo_dropin_install(const struct fo_unit *unit, const char *root, const char *text,
                               const char *journal);
enum fo_exit fo_dropin_remove(const struct fo_unit *unit, const char *root);

#endif
