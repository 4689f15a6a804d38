/* See facts.h. */
#include "cli/inspect/facts.h"

#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static FILE *open_of(pid_t pid, const char *name)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    return fopen(path, "re");
}

/* Seconds since 1970 when the system began; 0: not known. */
static uint64_t boot_time(void)
{
    FILE *file = fopen("/proc/stat", "re");
    char *line = NULL;
    size_t room = 0;
    uint64_t seconds = 0;

    while (file != NULL && seconds == 0 && getline(&line, &room, file) > 0)
        if (strncmp(line, "btime ", 6) == 0)
            seconds = strtoull(line + 6, NULL, 10);
    free(line);
    if (file != NULL)
        fclose(file);
    return seconds;
}

/* A number of /proc/PID/stat, counted from 1; the second word is a name in brackets that may hold
 * anything.  0: not known. */
static uint64_t word_of_stat(pid_t pid, int wanted)
{
    FILE *file = open_of(pid, "stat");
    char text[2048];
    size_t length = file != NULL ? fread(text, 1, sizeof text - 1, file) : 0;

    if (file != NULL)
        fclose(file);
    text[length] = '\0';
    const char *at = strrchr(text, ')');
    for (int word = 2; word < wanted && at != NULL; word++)
        at = strchr(at + 1, ' ');
    return at != NULL ? strtoull(at, NULL, 10) : 0;
}

/* It is in ticks since the system began. */
uint64_t fo_process_started(pid_t pid)
{
    uint64_t ticks = word_of_stat(pid, 22), boot = boot_time();
    long each = sysconf(_SC_CLK_TCK);

    if (ticks == 0 || boot == 0 || each <= 0)
        return 0;
    return boot * 1000000000 + ticks % (uint64_t)each * (1000000000 / (uint64_t)each) +
           ticks / (uint64_t)each * 1000000000;
}

pid_t fo_process_parent(pid_t pid)
{
    uint64_t parent = word_of_stat(pid, 4);

    return parent <= INT_MAX ? (pid_t)parent : 0;
}

/* Does a line, or a text that ends with a NUL, begin with `key` and name the library? */
static bool names_library(FILE *file, int end, const char *key)
{
    char *text = NULL;
    size_t room = 0;
    bool found = false;

    while (file != NULL && !found && getdelim(&text, &room, end, file) > 0)
        found = strncmp(text, key, strlen(key)) == 0 && strstr(text, "libfreeonce") != NULL;
    free(text);
    if (file != NULL)
        fclose(file);
    return found;
}

const char *fo_process_loaded_by(pid_t pid)
{
    if (names_library(open_of(pid, "environ"), '\0', "LD_PRELOAD="))
        return "LD_PRELOAD";
    if (names_library(open_of(pid, "root/etc/ld.so.preload"), '\n', ""))
        return "/etc/ld.so.preload";
    return "the program, or LD_PRELOAD of an environment that it has overwritten";
}
