/* See metrics.h. */
#include "cli/systemd/metrics.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/message.h"
#include "cli/metrics/metrics.h"
#include "cli/systemd/own_file.h"
#include "cli/systemd/run.h"
#include "cli/systemd/unit.h"

#define SERVICE "freeonce-metrics.service"
#define TIMER   "freeonce-metrics.timer"

/* Where packages of node_exporter have their folder: Debian's, EPEL's, and that of its manual. */
static const char *const folders[] = {"/var/lib/prometheus/node-exporter",
                                      "/var/lib/node_exporter/textfile_collector",
                                      "/var/lib/node_exporter"};

enum { FOLDERS = sizeof folders / sizeof folders[0] };

struct places {
    const char *directory, *service, *timer, *wants, *link, *root;
};

static struct places places_below(const char *root)
{
    const char *directory = fo_string_format("%s/etc/systemd/system", root);
    const char *wants = fo_string_format("%s/timers.target.wants", directory);

    return (struct places){directory,
                           fo_string_format("%s/" SERVICE, directory),
                           fo_string_format("%s/" TIMER, directory),
                           wants,
                           fo_string_format("%s/" TIMER, wants),
                           root};
}

/* --- the folder --------------------------------------------------------------------------------
 */

static bool is_folder(const char *root, const char *path)
{
    struct stat status;

    return stat(fo_string_format("%s%s", root, path), &status) == 0 && S_ISDIR(status.st_mode);
}

/* systemd takes a path as it is written only if nothing in it has a meaning: words, quotes,
 * specifiers, variables. */
static bool is_plain(const char *path)
{
    for (const char *c = path; *c != '\0'; c++)
        if ((unsigned char)*c <= ' ' || *c == 0x7f || strchr("\"'\\%$;", *c) != NULL)
            return false;
    return true;
}

static const char *check_folder(const char *folder, const char *root)
{
    if (*folder != '/' || !is_plain(folder))
        fo_error("--textfile %s: an absolute path is needed, without blanks, quotes, \\, %%, $ "
                 "and ;",
                 folder);
    else if (!is_folder(root, folder))
        fo_error("%s%s is no folder: name the one that node_exporter was started with "
                 "(--collector.textfile.directory)",
                 root, folder);
    else
        return folder;
    return NULL;
}

static const char *find_folder(const char *folder, const char *root)
{
    if (folder != NULL)
        return check_folder(folder, root);
    for (int i = 0; i < FOLDERS; i++)
        if (is_folder(root, folders[i]))
            return folders[i];
    fo_error("node_exporter has no folder here: neither %s nor %s nor %s is one. Install it "
             "(Debian: prometheus-node-exporter), or name the folder that it was started with: "
             "--textfile DIR",
             folders[0], folders[1], folders[2]);
    return NULL;
}

/* --- the units ---------------------------------------------------------------------------------
 */

/* Reading another process takes CAP_SYS_PTRACE; the folder may belong to the exporter's user. */
static const char *service_text(const char *program, const char *folder)
{
    return fo_string_format(
        FO_DROPIN_MARKER
        " --metrics (freeonce " FREEONCE_VERSION ").\n"
        "# To remove it: freeonce systemd --metrics --remove\n"
        "\n"
        "[Unit]\n"
        "Description=Metrics of OpenSSL's memory in guarded processes, for node_exporter\n"
        "Documentation=man:freeonce(1)\n"
        "ConditionPathIsDirectory=%s\n"
        "\n"
        "[Service]\n"
        "Type=oneshot\n"
        "ExecStart=%s metrics --textfile %s\n"
        "TimeoutStartSec=50\n"
        "Nice=10\n"
        "CapabilityBoundingSet=CAP_SYS_PTRACE CAP_DAC_READ_SEARCH CAP_DAC_OVERRIDE\n"
        "NoNewPrivileges=yes\n"
        "ProtectSystem=strict\n"
        "ReadWritePaths=%s\n"
        "ProtectHome=read-only\n"
        "PrivateNetwork=yes\n"
        "RestrictAddressFamilies=AF_UNIX\n"
        "SystemCallFilter=@system-service process_vm_readv\n"
        "SystemCallArchitectures=native\n",
        folder, program, folder, folder);
}

static const char *timer_text(void)
{
    return FO_DROPIN_MARKER " --metrics (freeonce " FREEONCE_VERSION ").\n"
                            "# To remove it: freeonce systemd --metrics --remove\n"
                            "\n"
                            "[Unit]\n"
                            "Description=Each minute: metrics of OpenSSL's memory\n"
                            "Documentation=man:freeonce(1)\n"
                            "\n"
                            "[Timer]\n"
                            "OnActiveSec=0\n"
                            "OnUnitActiveSec=1min\n"
                            "AccuracySec=5s\n"
                            "\n"
                            "[Install]\n"
                            "WantedBy=timers.target\n";
}

/* This command's own file.  NULL after a message. */
static const char *own_program(void)
{
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);

    if (length <= 0) {
        fo_error("cannot read /proc/self/exe: %s", strerror(errno));
        return NULL;
    }
    path[length] = '\0';
    if (!is_plain(path)) {
        fo_error("%s: systemd cannot execute it by this path; use an installed freeonce", path);
        return NULL;
    }
    return fo_string_format("%s", path);
}

static bool is_live(const char *root)
{
    return *root == '\0' && fo_systemd_is_running();
}

/* As `systemctl enable` does, which needs a systemctl. */
static enum fo_exit enable(const struct places *p)
{
    if ((mkdir(p->wants, 0755) != 0 && errno != EEXIST) ||
        (symlink("/etc/systemd/system/" TIMER, p->link) != 0 && errno != EEXIST))
        return fo_own_file_refused("cannot make", p->link);
    return FO_EXIT_OK;
}

static enum fo_exit install(const struct places *p, const char *service)
{
    static const char *const start[] = {"systemctl", "restart", TIMER, NULL};
    const char *const paths[] = {p->service, p->timer}, *const texts[] = {service, timer_text()};

    for (int i = 0; i < 2; i++) {
        bool same;
        enum fo_exit result = fo_own_file_write(p->directory, paths[i], texts[i], &same);
        if (result != FO_EXIT_OK)
            return result;
        printf("%s %s\n", same ? "Already there:" : "Wrote", paths[i]);
    }
    enum fo_exit result = enable(p);
    if (result == FO_EXIT_OK)
        result = fo_systemd_reload(p->root);
    if (result == FO_EXIT_OK && is_live(p->root))
        result = fo_systemctl(start);
    return result;
}

/* --- remove ------------------------------------------------------------------------------------
 */

static enum fo_exit remove_file(const char *path, bool *found)
{
    if (unlink(path) != 0)
        return errno == ENOENT || errno == ENOTDIR ? FO_EXIT_OK
                                                   : fo_own_file_refused("cannot remove", path);
    *found = true;
    printf("Removed %s\n", path);
    return FO_EXIT_OK;
}

/* What nobody updates any more would be scraped for ever. */
static enum fo_exit remove_metrics(const char *service, const char *root, bool *found)
{
    const char *at = strstr(service, " metrics --textfile ");
    char line[sizeof FO_METRICS_MARKER] = "";

    if (at == NULL)
        return FO_EXIT_OK;
    at += strlen(" metrics --textfile ");
    const char *path =
        fo_string_format("%s%s/" FO_METRICS_FILE, root, fo_string_copy(at, strcspn(at, "\n")));
    FILE *file = fopen(path, "re");
    bool own = file != NULL && fgets(line, sizeof line, file) != NULL &&
               strcmp(line, FO_METRICS_MARKER) == 0;
    if (file != NULL)
        fclose(file);
    return own ? remove_file(path, found) : FO_EXIT_OK;
}

static enum fo_exit take_out(const struct places *p)
{
    static const char *const stop[] = {"systemctl", "stop", TIMER, SERVICE, NULL};
    char *service, *timer = NULL;
    bool found = false;
    enum fo_exit result = fo_own_file_read(p->service, &service);

    if (result == FO_EXIT_OK)
        result = fo_own_file_read(p->timer, &timer);
    if (result == FO_EXIT_OK && (service != NULL || timer != NULL) && is_live(p->root))
        result = fo_systemctl(stop);
    if (result == FO_EXIT_OK && timer != NULL)
        result = remove_file(p->link, &found);
    if (result == FO_EXIT_OK && timer != NULL)
        result = remove_file(p->timer, &found);
    if (result == FO_EXIT_OK && service != NULL)
        result = remove_metrics(service, p->root, &found);
    if (result == FO_EXIT_OK && service != NULL)
        result = remove_file(p->service, &found);
    rmdir(p->wants); /* fails if other timers are in it */
    free(service);
    free(timer);
    if (result == FO_EXIT_OK && !found)
        printf("%s is not there: nothing to remove\n", p->service);
    return result == FO_EXIT_OK && found ? fo_systemd_reload(p->root) : result;
}

enum fo_exit fo_metrics_units(enum fo_metrics_do what, const char *folder, const char *root)
{
    struct places p = places_below(root);

    if (what == FO_METRICS_REMOVE)
        return take_out(&p);
    folder = find_folder(folder, root);
    if (folder == NULL)
        return FO_EXIT_NO_INPUT;
    const char *program = own_program();
    if (program == NULL)
        return FO_EXIT_CONFIG;
    const char *service = service_text(program, folder);
    if (what == FO_METRICS_INSTALL)
        return install(&p, service);
    printf("# %s\n%s\n# %s\n%s", p.service, service, p.timer, timer_text());
    return fflush(stdout) == 0 ? FO_EXIT_OK : FO_EXIT_CANNOT_WRITE;
}
