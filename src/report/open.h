/* Opens a file that the library or the command writes to.  The name may lead through folders that
 * other users can write, and the file may be anything: a link, a FIFO, a device, another user's.
 * Called at start, in a report that has to open its file again, and by the command; allocates
 * nothing, waits for nothing, is no cancellation point. */
#ifndef FO_REPORT_OPEN_H
#define FO_REPORT_OPEN_H

#include <stdbool.h>
#include <sys/types.h>

/* A descriptor (close-on-exec, non-blocking), or -1 and the reason in *why, with errno.  The file
 * is made if it is not there.  It is refused if it
 *   - is a symbolic link, or no regular file,
 *   - has several names,
 *   - belongs to a user who is neither root nor the caller,
 *   - for root: if a folder on its way belongs to another user or can be written by one.  In a
 *     folder with the sticky bit, like /tmp, files of root are safe. */
int fo_open_to_write(const char *path, int flags, mode_t mode, const char **why);

/* The number of the descriptor that this path names (/dev/stderr, /dev/stdout, /dev/fd/N,
 * /proc/self/fd/N); -1: none. */
int fo_open_names_descriptor(const char *path);

/* A descriptor of our own for what the process has inherited as `inherited`, which may be a pipe or
 * a terminal.  It must be open for writing. */
int fo_open_inherited(int inherited, const char **why);

#endif
