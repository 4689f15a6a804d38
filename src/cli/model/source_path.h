/* Paths of source files: as debug information has them, and as outputs show them. */
#ifndef FO_CLI_MODEL_SOURCE_PATH_H
#define FO_CLI_MODEL_SOURCE_PATH_H

/* directory/file, without "." and ".." if they can be removed; only file if that is absolute or
 * directory is NULL.  The caller frees it; without memory the command ends. */
char *fo_source_path(const char *directory, const char *file);

/* The rest of path after root; NULL if path is not beneath root, or root is not absolute. */
const char *fo_path_beneath(const char *path, const char *root);

#endif
