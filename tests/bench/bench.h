/*
 * What the benchmark programs share: the identities of a mutual TLS connection, one connection with
 * both ends in this process, repeatable random numbers, and the arithmetic on samples.
 * Every function ends the program with a message when something fails: a benchmark that continues
 * after an error measures something else.
 */
#ifndef FREEONCE_BENCH_H
#define FREEONCE_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <openssl/ssl.h>

enum { BENCH_ECHO_BYTES = 1000 };

/* connection.c: a finished handshake; both ends are kept so that memory per connection shows. */
struct bench_connection {
    SSL *client;
    SSL *server;
};

void bench_connect(struct bench_connection *connection, SSL_CTX *client, SSL_CTX *server);
void bench_echo(struct bench_connection *connection);
void bench_disconnect(struct bench_connection *connection);

/* identity.c: what kind of connections to prepare. */
struct bench_setup {
    const char *key;  /* "ec" (P-256) or "rsa" (2,048 bits) */
    int version;      /* TLS1_2_VERSION or TLS1_3_VERSION */
    unsigned tickets; /* session tickets that the server issues in each handshake */
    bool authority; /* certificates signed by an authority; else each end trusts the other's own */
};

struct bench_contexts {
    SSL_CTX *client;
    SSL_CTX *server;
};

void bench_contexts_create(struct bench_contexts *contexts, const struct bench_setup *setup);
void bench_contexts_destroy(struct bench_contexts *contexts);

/* repeatable.c: from here on OpenSSL draws the same bytes in every run; for one thread. */
void bench_repeatable_random(uint64_t seed);

/* repeatable.c: the next of a fixed sequence of random numbers; any state may begin one. */
uint64_t bench_random(uint64_t *state);

/* allocations.c: counts what OpenSSL asks of its allocator hook; to be called before any use. */
struct bench_allocations {
    uint64_t allocations;
    uint64_t reallocations;
    uint64_t frees;
    size_t median_size;
};

void bench_allocations_watch(void);
void bench_allocations_reset(void);
struct bench_allocations bench_allocations_read(void);
void bench_allocations_write_sizes(const char *path); /* lines "size count", for bench_mix_load */

/* mix.c: sizes of blocks in the proportions in which OpenSSL asks for them, in random order. */
enum { BENCH_MIX_SIZES = 1 << 16 };

struct bench_mix {
    uint32_t sizes[BENCH_MIX_SIZES];
};

void bench_mix_load(struct bench_mix *mix, const char *path);

/* mix.c: a block as OpenSSL gets it, with its first byte written as its owner would. */
void *bench_block(size_t size);

/* sample.c: quartiles of n > 0 values, which it sorts. */
struct bench_quartiles {
    double lower;
    double median;
    double upper;
};

struct bench_quartiles bench_quartiles(double *values, size_t n);

/* sample.c: the process's CPU time so far, and wall-clock time, in seconds. */
double bench_cpu_seconds(void);
double bench_wall_seconds(void);

/* sample.c: the calling thread's CPU time so far, in seconds. */
double bench_thread_cpu_seconds(void);

/* sample.c: this process's resident memory, in KiB. */
size_t bench_resident_kib(void);

/* fail.c */
_Noreturn void bench_fail(const char *what);         /* adds errno */
_Noreturn void bench_fail_openssl(const char *what); /* adds OpenSSL's error queue */
unsigned bench_number(const char *text, unsigned least, const char *option);

#endif
