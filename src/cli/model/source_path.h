/* Paths of source files: as debug information has them, and as outputs show them. */
#ifndef FO_CLI_MODEL_SOURCE_PATH_H
#define FO_CLI_MODEL_SOURCE_PATH_H

/* directory/file without "." and ".." where they can be taken away; only file if that is absolute
 * or directory is NULL.  The caller frees it; without memory the command ends. */
char *fo_source_path(const char *directory, const char *file);

/* What follows root in path, which lies beneath it; NULL if it does not, or root is not absolute.
 */
const char *fo_path_beneath(const char *path, const char *root);

#endif
