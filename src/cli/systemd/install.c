/* See install.h. */
#include "cli/systemd/install.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/systemd/own_file.h"

static const char *directory_of(const struct fo_unit *unit, const char *root)
{
    return fo_string_format("%s/etc/systemd/system/%s.d", root, unit->name);
}

enum fo_exit fo_dropin_install(const struct fo_unit *unit, const char *root, const char *text,
                               const char *journal)
{
    const char *directory = directory_of(unit, root);
    const char *path = fo_string_format("%s/" FO_DROPIN_NAME, directory);
    bool same;
    enum fo_exit result = fo_own_file_write(directory, path, text, &same);

    if (result != FO_EXIT_OK)
        return result;
    printf("%s %s\n", same ? "Already there:" : "Wrote", path);
    result = fo_systemd_reload(root);
    printf("Next:\n  systemctl restart %s\n", unit->is_template ? "(each instance)" : unit->name);
    if (journal != NULL)
        printf("  freeonce report %s\n", journal);
    return result;
}

/* The journal's path in the drop-in; NULL: none. */
static const char *journal_of(const char *text)
{
    const char *at = strstr(text, "\nEnvironment=FREEONCE_JOURNAL=");

    if (at == NULL)
        return NULL;
    at = strstr(at, "JOURNAL=") + strlen("JOURNAL=");
    return fo_string_copy(at, strcspn(at, "\n"));
}

enum fo_exit fo_dropin_remove(const struct fo_unit *unit, const char *root)
{
    const char *directory = directory_of(unit, root);
    const char *path = fo_string_format("%s/" FO_DROPIN_NAME, directory);
    char *text;
    enum fo_exit result = fo_own_file_read(path, &text);

    if (result != FO_EXIT_OK)
        return result;
    if (text == NULL) {
        printf("%s is not there: nothing to remove\n", path);
        return FO_EXIT_OK;
    }
    const char *journal = journal_of(text);
    free(text);
    if (unlink(path) != 0)
        return fo_own_file_refused("cannot remove", path);
    rmdir(directory); /* fails if it has other files */
    printf("Removed %s\n", path);
    result = fo_systemd_reload(root);
    printf("Next:\n  systemctl restart %s\n", unit->is_template ? "(each instance)" : unit->name);
    if (journal != NULL)
        printf("The journal was kept: freeonce report %s\n", journal);
    return result;
}
