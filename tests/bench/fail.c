/*
 * How do the benchmark programs stop after an error? With one message and exit status 2,
 * so that the caller never takes a failed run for a fast one.
 */
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>

_Noreturn void bench_fail(const char *what)
{
    fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
    exit(2);
}

_Noreturn void bench_fail_openssl(const char *what)
{
    fprintf(stderr, "bench: %s\n", what);
    ERR_print_errors_fp(stderr);
    exit(2);
}

unsigned bench_number(const char *text, unsigned least, const char *option)
{
    char *end = NULL;
    errno = 0;
    unsigned long value = text ? strtoul(text, &end, 10) : 0;

    if (!text || end == text || *end != '\0' || *text == '-' || errno != 0 || value < least ||
        value > 100000000) {
        fprintf(stderr, "bench: %s takes a number from %u to 100000000\n", option, least);
        exit(2);
    }
    return (unsigned)value;
}
