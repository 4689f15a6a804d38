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
 *   - is a symbolic link, or neither a regular file nor /dev/null,
 *   - has several names,
 *   - belongs to a user who is neither root nor the caller.
 * For root each folder on the way is looked at, too:
 *   - one that all users can write is refused, unless it has the sticky bit, like /tmp;
 *   - where another user or a group can make names, a symbolic link must be root's;
 *   - the file may belong to the owner of its folder; one that is made there is given to that
 *     owner, except in a folder with the sticky bit. */
int fo_open_to_write(const char *path, int flags, mode_t mode, const char **why);

/* The folder in which fo_open_to_write() looks for the file (O_PATH), and the file's name in it; if
 * the caller is not root, AT_FDCWD and the whole path. -1 and the reason: it is refused. */
int fo_open_folder(const char *path, const char **name, const char **why);

/* Is there a filter of system calls?  It may kill the process for a call that is not in its list.
 * True also where /proc is missing. */
bool fo_is_filtered(void);

/* The number of the descriptor that this path names (/dev/stderr, /dev/stdout, /dev/fd/N,
 * /proc/self/fd/N); -1: none. */
int fo_open_names_descriptor(const char *path);

/* A new descriptor for what the process has inherited as `inherited`, which may be a pipe or a
 * terminal.  It must be open for writing. */
int fo_open_inherited(int inherited, const char **why);

#endif
