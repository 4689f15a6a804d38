/* See source_path.h. */
#include "cli/model/source_path.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/exit.h"
#include "cli/message.h"

/* Can ".." remove the last component of path[0..end)?  *start: where that begins. */
static bool is_removable(const char *path, size_t end, size_t *start)
{
    size_t at = end;

    while (at > 0 && path[at - 1] != '/')
        at--;
    *start = at;
    return end > at && !(end - at == 2 && memcmp(path + at, "..", 2) == 0);
}

/* In place, and by the text alone: the source may not be on this system. */
static void normalise(char *path)
{
    size_t first = *path == '/', used = first, start;
    char *at = path + first;
    bool last = false;

    for (char *next; !last; at = next) {
        size_t length = strcspn(at, "/");
        bool up = length == 2 && memcmp(at, "..", 2) == 0;
        next = at + length + 1;
        last = at[length] == '\0';
        if (length == 0 || (length == 1 && *at == '.'))
            continue;
        if (up && is_removable(path, used > first ? used - 1 : used, &start)) {
            used = start;
        } else if (!up || first == 0) { /* there is nothing above the root */
            memmove(path + used, at, length);
            path[used + length] = '/';
            used += length + 1;
        }
    }
    path[used > first ? used - 1 : used] = '\0';
}

char *fo_source_path(const char *directory, const char *file)
{
    bool whole = directory == NULL || *directory == '\0' || *file == '/';
    char *path;

    if (asprintf(&path, "%s%s%s", whole ? "" : directory, whole ? "" : "/", file) < 0) {
        fo_error("no memory for the name of a source file");
        exit(FO_EXIT_SOFTWARE);
    }
    normalise(path);
    return path;
}

const char *fo_path_beneath(const char *path, const char *root)
{
    size_t length;

    if (root == NULL || *root != '/' || *path != '/')
        return NULL;
    length = strlen(root);
    while (length > 0 && root[length - 1] == '/')
        length--;
    if (strncmp(path, root, length) != 0 || path[length] != '/')
        return NULL;
    while (path[length] == '/')
        length++;
    return path[length] != '\0' ? path + length : NULL;
}
