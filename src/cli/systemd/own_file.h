/* Files of units that freeonce has made: written whole or not at all, and only over an older one
 * that freeonce made. */
#ifndef FO_CLI_SYSTEMD_OWN_FILE_H
#define FO_CLI_SYSTEMD_OWN_FILE_H

#include <stdbool.h>

#include "cli/exit.h"

/* The text of the file; the caller frees it.  NULL and FO_EXIT_OK: there is none.  A file that
 * freeonce did not make is an error. */
enum fo_exit fo_own_file_read(const char *path, char **text);

/* Written to a temporary file, then renamed: systemd never reads a part of it.  Folders on the way
 * are made.  *same: it was there already, with this text. */
enum fo_exit fo_own_file_write(const char *directory, const char *path, const char *text,
                               bool *same);

/* FO_EXIT_NO_PERMISSION or FO_EXIT_CANNOT_WRITE, after a message with errno. */
enum fo_exit fo_own_file_refused(const char *doing, const char *path);

/* Have systemd read its units again, if it runs and root is "". */
enum fo_exit fo_systemd_reload(const char *root);

/* Run systemctl for its effect.  FO_EXIT_OS after a message: it failed. */
enum fo_exit fo_systemctl(const char *const *command);

#endif
