/* FREEONCE_ variables, /etc/freeonce.conf, and all messages about them.
 * Input: a byte of flags; the strings of the environment, each up to a NUL; after an empty one the
 * file. */
#include "input.h"

#include <stdlib.h>

#include "options/options.h"

enum { VARIABLES = 24 };

/* In memory of exactly this size, so that AddressSanitizer reports each byte behind it. */
static void put_into(size_t size, void (*put)(struct fo_text *, unsigned), unsigned i)
{
    char *line = malloc(size);
    struct fo_text t = {line, size - 1, 0};

    put(&t, i);
    if (t.used > size - 1)
        abort();
    free(line);
}

static void put_value(struct fo_text *t, unsigned i)
{
    fo_options_put_value(t, (enum fo_option_index)i);
}

static void put_reason(struct fo_text *t, unsigned i)
{
    static const struct fo_conf conf = {.path = "/etc/freeonce.conf", .mode = 0666, .owner = 65534};
    struct fo_conf one = {.path = conf.path, .mode = conf.mode, .owner = conf.owner};

    one.state = (enum fo_conf_state)(i % (FO_CONF_UNREAD + 1));
    one.error = (int)i;
    fo_conf_put_reason(t, &one);
}

static void read_file(struct input *in, uint8_t ways)
{
    static struct fo_conf conf;

    memset(&conf, 0, sizeof conf - sizeof conf.text);
    conf.path = "/etc/freeonce.conf";
    conf.state = (ways & 1) != 0 ? FO_CONF_WRITABLE : FO_CONF_GOOD;
    conf.length = input_piece(in, conf.text, FO_CONF_MAX);
    conf.text[conf.length] = '\0'; /* as fo_conf_read() does */
    conf.at = conf.text;
    conf.end = conf.text + conf.length;
    fo_options_read_conf(&conf, (ways & 2) != 0 ? NULL : "/usr/sbin/nginx", (ways & 4) != 0);
}

static void put_all(uint8_t ways)
{
    for (unsigned i = 0, all = fo_options_problems(); i < all; i++)
        put_into((ways & 8) != 0 ? 400 : 1 + ways % 32, fo_options_put_problem, i);
    for (unsigned i = 0; i < FO_OPTION_COUNT; i++)
        put_into(1 + ways, put_value, i);
    put_into(1 + ways, put_reason, ways);
    char *line = malloc(1 + ways * 4u);
    fo_options_list(line, 1 + ways * 4u);
    struct fo_text t = {line, ways * 4u, 0};
    fo_options_list_file(&t);
    free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    uint8_t ways = input_byte(&in);
    char *text = malloc(in.left + 1), *environment[VARIABLES + 1], *at = text;
    char *end = text + in.left;
    unsigned n = 0;

    memcpy(text, in.at, in.left);
    *end = '\0';
    for (; at < end && *at != '\0' && n < VARIABLES; at += strlen(at) + 1)
        environment[n++] = at;
    environment[n] = NULL;
    fo_options_read(environment);
    if (at < end) {
        in = (struct input){(const uint8_t *)at + 1, (size_t)(end - at) - 1};
        read_file(&in, ways);
    }
    put_all(ways);
    fo_options_remove(environment);
    for (char **left = environment; *left != NULL; left++)
        if (strncmp(*left, "FREEONCE_", 9) == 0)
            abort();
    free(text);
    return 0;
}
