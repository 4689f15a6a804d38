/*
 * What does it cost to read a certificate? d2i_X509 with its X509_free: many small blocks that are
 * made and freed together.
 */
#include "bench.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <openssl/x509.h>

static const char usage[] = "usage: parse [--count N] [--warm-up N]\n"
                            "  --count N    certificates to read (default 2000)\n"
                            "  --warm-up N  so many before them (default 10)\n";

struct request {
    unsigned count;
    unsigned warm_up;
};

static _Noreturn void refuse(void)
{
    fputs(usage, stderr);
    exit(2);
}

static struct request parse(int argc, char **argv)
{
    static const struct option options[] = {
        {"count", required_argument, NULL, 'n'},
        {"warm-up", required_argument, NULL, 'w'},
        {NULL, 0, NULL, 0},
    };
    struct request request = {.count = 2000, .warm_up = 10};
    int option = 0;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'n')
            request.count = bench_number(optarg, 1, "--count");
        else if (option == 'w')
            request.warm_up = bench_number(optarg, 0, "--warm-up");
        else
            refuse();
    }
    if (optind != argc)
        refuse();
    return request;
}

struct encoding {
    unsigned char *bytes;
    long length;
};

static struct encoding server_certificate(void)
{
    const struct bench_setup setup = {.key = "ec", .version = TLS1_3_VERSION, .tickets = 2};
    struct bench_contexts contexts;
    struct encoding encoding = {0};

    bench_contexts_create(&contexts, &setup);
    encoding.length = i2d_X509(SSL_CTX_get0_certificate(contexts.server), &encoding.bytes);
    if (encoding.length <= 0)
        bench_fail_openssl("no certificate");
    bench_contexts_destroy(&contexts);
    return encoding;
}

static void read_certificates(const struct encoding *encoding, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const unsigned char *at = encoding->bytes;
        X509 *certificate = d2i_X509(NULL, &at, encoding->length);

        if (!certificate)
            bench_fail_openssl("the certificate cannot be read");
        X509_free(certificate);
    }
}

int main(int argc, char **argv)
{
    struct request request = parse(argc, argv);

    bench_repeatable_random(1);
    struct encoding encoding = server_certificate();
    read_certificates(&encoding, request.warm_up);
    double start = bench_cpu_seconds();
    read_certificates(&encoding, request.count);
    printf("cpu_us_per_certificate=%.4f\n", (bench_cpu_seconds() - start) * 1e6 / request.count);
    OPENSSL_free(encoding.bytes);
    return 0;
}
