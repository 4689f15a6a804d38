/*
 * How much later does a program start with the library preloaded? Runs a program (`true` unless
 * told) many times with and without LD_PRELOAD, in pairs whose order alternates, and prints the
 * difference in milliseconds. Without --library both sides run alike: what is then printed is the
 * noise.
 */
#include "bench.h"

#include <getopt.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static const char usage[] =
    "usage: startup [--pairs K] [--library FILE] [--set NAME=VALUE]... [-- program argument...]\n"
    "  --pairs K       runs with and without the library (default 500)\n"
    "  --library FILE  what to preload on one side; several with : between them\n"
    "  --set N=VALUE   a variable of that side's environment\n";

enum { MOST_SETTINGS = 16 };

struct request {
    unsigned pairs;
    const char *library;
    char *settings[MOST_SETTINGS];
    size_t settings_count;
    char **command;
};

static _Noreturn void refuse(void)
{
    fputs(usage, stderr);
    exit(2);
}

static struct request parse(int argc, char **argv)
{
    enum { PAIRS = 256, LIBRARY, SET, HELP };
    static const struct option options[] = {
        {"pairs", required_argument, NULL, PAIRS},
        {"library", required_argument, NULL, LIBRARY},
        {"set", required_argument, NULL, SET},
        {"help", no_argument, NULL, HELP},
        {NULL, 0, NULL, 0},
    };
    static char program[] = "true";
    static char *just_true[] = {program, NULL};
    struct request request = {.pairs = 500, .command = just_true};
    int option = 0;

    while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
        switch (option) {
        case PAIRS:
            request.pairs = bench_number(optarg, 1, "--pairs");
            break;
        case LIBRARY:
            request.library = optarg;
            break;
        case SET:
            if (request.settings_count == MOST_SETTINGS || !strchr(optarg, '='))
                refuse();
            request.settings[request.settings_count++] = optarg;
            break;
        case HELP:
            fputs(usage, stdout);
            exit(0);
        default:
            refuse();
        }
    }
    if (optind < argc)
        request.command = argv + optind;
    return request;
}

/* The dynamic linker only warns about a library that it cannot open: that would look fast. */
static void require_readable(const char *libraries)
{
    char *copy = strdup(libraries);
    char *rest = NULL;

    if (!copy)
        bench_fail("libraries");
    for (char *one = strtok_r(copy, ":", &rest); one; one = strtok_r(NULL, ":", &rest))
        if (access(one, R_OK) != 0)
            bench_fail(one);
    free(copy);
}

/* The caller's environment without its LD_PRELOAD; for the other side, with what was asked for. */
static char **environment_with(const struct request *request, bool other_side)
{
    static const char variable[] = "LD_PRELOAD=";
    size_t n = 0;
    size_t kept = 0;

    while (environ[n])
        n++;
    char **result = calloc(n + MOST_SETTINGS + 2, sizeof *result);
    if (!result)
        bench_fail("environment");
    if (other_side && request->library) {
        require_readable(request->library);
        if (asprintf(&result[kept++], "%s%s", variable, request->library) < 0)
            bench_fail("environment");
    }
    for (size_t i = 0; other_side && i < request->settings_count; i++)
        result[kept++] = request->settings[i];
    for (size_t i = 0; i < n; i++)
        if (strncmp(environ[i], variable, strlen(variable)) != 0)
            result[kept++] = environ[i];
    return result;
}

static double milliseconds(struct timeval time)
{
    return (double)time.tv_sec * 1e3 + (double)time.tv_usec / 1e3;
}

struct cost {
    double wall;
    double cpu;
};

static struct cost run(char **command, char **environment)
{
    pid_t pid = 0;
    int status = 0;
    struct rusage used;
    double start = bench_wall_seconds();
    int error = posix_spawnp(&pid, command[0], NULL, NULL, command, environment);

    if (error != 0) {
        errno = error;
        bench_fail(command[0]);
    }
    while (wait4(pid, &status, 0, &used) < 0)
        if (errno != EINTR)
            bench_fail("wait4");
    double wall = (bench_wall_seconds() - start) * 1e3;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "bench: %s ended with wait status %d\n", command[0], status);
        exit(2);
    }
    return (struct cost){
        .wall = wall,
        .cpu = milliseconds(used.ru_utime) + milliseconds(used.ru_stime),
    };
}

static void print_quartiles(const char *name, double *values, size_t n, char end)
{
    struct bench_quartiles q = bench_quartiles(values, n);

    printf("%s=%.4f %s_lower=%.4f %s_upper=%.4f%c", name, q.median, name, q.lower, name, q.upper,
           end);
}

static double *new_samples(size_t n)
{
    double *samples = calloc(n, sizeof *samples);

    if (!samples)
        bench_fail("samples");
    return samples;
}

struct samples {
    double *stock;
    double *preloaded;
    double *difference;
};

static struct samples new_sample_set(size_t n)
{
    return (struct samples){new_samples(n), new_samples(n), new_samples(n)};
}

static void note(struct samples *samples, size_t i, double stock, double preloaded)
{
    samples->stock[i] = stock;
    samples->preloaded[i] = preloaded;
    samples->difference[i] = preloaded - stock;
}

int main(int argc, char **argv)
{
    struct request request = parse(argc, argv);
    char **without = environment_with(&request, false);
    char **with = environment_with(&request, true);
    size_t n = request.pairs;
    struct samples wall = new_sample_set(n);
    struct samples cpu = new_sample_set(n);

    run(request.command, without); /* both once, so that neither pays for a cold page cache */
    run(request.command, with);
    for (size_t i = 0; i < n; i++) {
        bool stock_first = i % 2 == 0;
        struct cost first = run(request.command, stock_first ? without : with);
        struct cost second = run(request.command, stock_first ? with : without);
        struct cost stock = stock_first ? first : second;
        struct cost preloaded = stock_first ? second : first;

        note(&wall, i, stock.wall, preloaded.wall);
        note(&cpu, i, stock.cpu, preloaded.cpu);
    }
    printf("pairs=%zu ", n);
    print_quartiles("stock_ms", wall.stock, n, ' ');
    print_quartiles("preloaded_ms", wall.preloaded, n, ' ');
    print_quartiles("difference_ms", wall.difference, n, ' ');
    print_quartiles("cpu_difference_ms", cpu.difference, n, '\n');
    return 0;
}
