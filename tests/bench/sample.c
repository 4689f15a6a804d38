/*
 * What was measured, and what is a fair summary of it? Clocks, resident memory, and quartiles: on a
 * machine shared with others the mean of a few runs says more about the others than about us.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int ascending(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;

    return (a > b) - (a < b);
}

/* Linear between the two neighbours, as R and NumPy do by default. */
static double quantile(const double *sorted, size_t n, double share)
{
    double position = share * (double)(n - 1);
    size_t below = (size_t)position;
    size_t above = below + 1 < n ? below + 1 : below;

    return sorted[below] + (sorted[above] - sorted[below]) * (position - (double)below);
}

struct bench_quartiles bench_quartiles(double *values, size_t n)
{
    qsort(values, n, sizeof *values, ascending);
    return (struct bench_quartiles){
        .lower = quantile(values, n, 0.25),
        .median = quantile(values, n, 0.5),
        .upper = quantile(values, n, 0.75),
    };
}

static double seconds(clockid_t clock)
{
    struct timespec now;

    if (clock_gettime(clock, &now) != 0)
        bench_fail("clock_gettime");
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

double bench_cpu_seconds(void)
{
    return seconds(CLOCK_PROCESS_CPUTIME_ID);
}

double bench_thread_cpu_seconds(void)
{
    return seconds(CLOCK_THREAD_CPUTIME_ID);
}

double bench_wall_seconds(void)
{
    return seconds(CLOCK_MONOTONIC);
}

size_t bench_resident_kib(void)
{
    size_t total = 0;
    size_t resident = 0;
    FILE *statm = fopen("/proc/self/statm", "re");

    if (!statm || fscanf(statm, "%zu %zu", &total, &resident) != 2)
        bench_fail("/proc/self/statm");
    fclose(statm);
    return resident * (size_t)sysconf(_SC_PAGESIZE) / 1024;
}
