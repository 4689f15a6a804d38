/* See settings.h. */
#include "settings.h"

#include <argp.h>
#include <err.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "page.h"

enum { KEY_FIRST = 0x100 };

/* One row for each option: name, member, unit (NULL: a flag), help. */
#define NUMBER(name, member, unit, help)                                                           \
    {                                                                                              \
        name, unit, help, offsetof(struct settings, member), 'n'                                   \
    }
#define FLAG(name, member, help)                                                                   \
    {                                                                                              \
        name, NULL, help, offsetof(struct settings, member), 'f'                                   \
    }
#define TEXT(name, member, unit, help)                                                             \
    {                                                                                              \
        name, unit, help, offsetof(struct settings, member), 't'                                   \
    }
static const struct row {
    const char *name, *unit, *help;
    size_t at;
    char type;
} rows[] = {
    TEXT("certs", certs, "DIR", "folder of make-certs.sh"),
    TEXT("port-file", port_file, "FILE", "write the port into it"),
    TEXT("page", page_file, "FILE", "keep the counters in it (default: nowhere)"),
    NUMBER("workers", workers, "N", "so many (default 8)"),
    NUMBER("tls", tls, "12|13", "this version only"),
    NUMBER("pool", pool, "MIB", "register a shared pool for OpenSSL's memory"),
    NUMBER("hold", hold, "N", "each worker keeps its last N connections open"),
    NUMBER("lifetime", lifetime, "N", "a worker leaves after N connections, and is replaced"),
    NUMBER("timeout", timeout, "MS", "for one read or write of a client (default 5000)"),
    NUMBER("stop-seconds", stop_seconds, "S", "that workers get to leave (default 60)"),
    NUMBER("crashes", crashes, "N", "so many crashed workers are replaced (default 100)"),
    NUMBER("kills", kills, "N", "kill workers, N in all, and replace them"),
    NUMBER("kill-every", kill_every, "US", "time between kills, on average (default 20000)"),
    NUMBER("walk-every", walk_every, "N", "walk through the heap after each N kills"),
    NUMBER("seed", seed, "N", "of the kills' instants and victims"),
    FLAG("hand-over", hand_over, "what one worker reads, another one answers"),
    FLAG("keep-context", keep_context, "workers leave without SSL_CTX_free()"),
    FLAG("verbose", verbose, "say why connections failed"),
};
enum { ROWS = sizeof rows / sizeof rows[0] };

static unsigned number(const struct argp_state *state, const char *text)
{
    char *end;

    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno != 0 || *end != '\0' || end == text || value > 1000000000)
        argp_error(state, "this is no number: %s", text);
    return (unsigned)value;
}

static error_t take(int key, char *text, struct argp_state *state)
{
    struct settings *s = state->input;

    if (key == ARGP_KEY_END && s->certs == NULL)
        argp_error(state, "--certs is missing");
    if (key == ARGP_KEY_END && (s->workers == 0 || s->workers > WORKERS_MAX))
        argp_error(state, "--workers: 1 to %d", WORKERS_MAX);
    if (key < KEY_FIRST || key >= KEY_FIRST + ROWS)
        return ARGP_ERR_UNKNOWN;
    const struct row *row = &rows[key - KEY_FIRST];
    void *member = (char *)s + row->at;
    if (row->type == 'n')
        *(unsigned *)member = number(state, text);
    else if (row->type == 'f')
        *(bool *)member = true;
    else
        *(const char **)member = text;
    return 0;
}

struct settings settings_parse(int argc, char **argv)
{
    struct settings settings = {
        .workers = 8,
        .timeout = 5000,
        .stop_seconds = 60,
        .crashes = 100,
        .kill_every = 20000,
        .seed = 1,
    };
    struct argp_option options[ROWS + 1] = {0};

    for (int i = 0; i < ROWS; i++)
        options[i] = (struct argp_option){
            .name = rows[i].name, .key = KEY_FIRST + i, .arg = rows[i].unit, .doc = rows[i].help};
    struct argp argp = {
        .options = options,
        .parser = take,
        .doc = "A TLS server with one SSL_CTX, made before its workers are forked.",
    };
    if (argp_parse(&argp, argc, argv, 0, NULL, &settings) != 0)
        errx(64, "the command line cannot be read");
    return settings;
}
