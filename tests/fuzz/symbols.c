/* The process that reads an ELF file sends messages to the command (cli/symbols/lookup.c).  If the
 * file has exploited that process, they may be anything.
 * Input: messages; each a kind, a number, a line, two texts, and the errors in its lengths. */
#include "cli/symbols/lookup.c"

#include "input.h"

#include <stdlib.h>

#include "base/format.h"

enum { CODES = 4, MESSAGES_MAX = 64 };

static size_t put_text(struct input *in, struct fo_talk *talk, size_t at, int index)
{
    size_t size = input_byte(in);

    if (size == 0)
        return at;
    if (size == UINT8_MAX)
        size = 1 + input_u16(in) % FO_TALK_TEXT_MAX;
    memset(talk->text + at, 'x', size);
    input_piece(in, talk->text + at, size);
    talk->text[at + size - 1] = '\0';
    talk->head.length[index] = (uint32_t)size;
    return at + size;
}

static void send_message(struct input *in, int socket)
{
    static struct fo_talk talk;
    uint8_t kind = input_byte(in);
    size_t size = offsetof(struct fo_talk, text);

    talk.head = (struct fo_talk_head){.kind = kind % 8, .number = input_byte(in)};
    talk.head.line = input_byte(in);
    size += put_text(in, &talk, put_text(in, &talk, 0, 0), 1);
    if (kind >= 240)
        talk.head.length[kind % 2] = (uint32_t)input_u64(in);
    if (kind >= 248)
        talk.text[size - offsetof(struct fo_talk, text)] = 'x'; /* not ended */
    send(socket, &talk, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void check_text(const char *text)
{
    for (size_t n; text != NULL && *text != '\0'; text += n)
        if ((n = fo_clean_length(text, strlen(text))) == 0)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    struct fo_model model = {.processes = NULL};
    struct fo_code codes[CODES] = {{.module = "/nonexistent/libx.so", .address = 1}}, *list[CODES];
    struct fo_symbols_wanted wanted = {list, CODES};
    struct fo_lookup_bounds bounds = {.text = FO_LOOKUP_TEXT};
    struct lookup l = {.model = &model,
                       .wanted = &wanted,
                       .bounds = &bounds,
                       .file = {.fd = -1, .real = "/nonexistent/libx.so"},
                       .search = {.module = "/nonexistent/libx.so"},
                       .left = 1000};
    int pair[2];

    for (unsigned i = 0; i < CODES; i++) {
        list[i] = &codes[i];
        codes[i] = codes[0];
        codes[i].address += i / 2;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        abort();
    for (int i = 0; i < MESSAGES_MAX && in.left != 0; i++)
        send_message(&in, pair[1]);
    shutdown(pair[1], SHUT_WR);
    l.socket = pair[0];
    read_messages(&l);
    copy_repeated(&wanted);
    for (unsigned i = 0; i < CODES; i++) {
        check_text(codes[i].function);
        check_text(codes[i].file);
    }
    close(pair[0]);
    close(pair[1]);
    fo_model_free(&model);
    return 0;
}
