/* See lookup.h.  The child is confined before it reads a byte of the file; its messages are
 * input. */
#include "cli/symbols/lookup.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/message.h"
#include "cli/symbols/confine.h"
#include "cli/symbols/debug_file.h"
#include "cli/symbols/talk.h"

enum { REQUESTS_MAX = 256 }; /* for debug files, of one module */

struct lookup {
    struct fo_model *model;
    const struct fo_symbols_wanted *wanted;
    struct fo_lookup_bounds *bounds;
    struct fo_trusted_file file, debug; /* debug: the last debug file that was sent */
    struct fo_debug_search search;
    int socket;
    pid_t child;
    int64_t left;  /* milliseconds */
    uint32_t next; /* the lowest number that the next answer may have */
    int requests;
    bool has_complained;
};

static void warn(const struct lookup *l, const char *why)
{
    fo_warning("symbols of %s: not read: %s", l->wanted->codes[0]->module, why);
}

static int64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* False: the time is over. */
static bool wait_for_message(struct lookup *l)
{
    struct pollfd wanted = {.fd = l->socket, .events = POLLIN};
    int n;

    do {
        int64_t began = now();
        n = poll(&wanted, 1, l->left > 0 ? (int)l->left : 0);
        l->left -= now() - began;
    } while (n < 0 && errno == EINTR && l->left > 0);
    return n > 0;
}

/* At most one answer for each address, in their order: so the model cannot grow without limit. */
static bool handle_answer(struct lookup *l, const struct fo_talk *talk)
{
    uint32_t number = talk->head.number;
    size_t size = (size_t)talk->head.length[0] + talk->head.length[1];

    if (number < l->next || number >= l->wanted->count || size > l->bounds->text)
        return false;
    l->next = number + 1;
    l->bounds->text -= size;
    struct fo_code *code = l->wanted->codes[number];
    char *function = fo_model_string(l->model, fo_talk_text(talk, 0));
    if (function != NULL)
        function[strcspn(function, "@")] = '\0'; /* a symbol's version */
    code->function = function;
    if (talk->head.line != 0 && fo_talk_text(talk, 1) != NULL) {
        code->file = fo_model_string(l->model, fo_talk_text(talk, 1));
        code->line = talk->head.line;
    }
    return true;
}

static bool answer_request(struct lookup *l, const struct fo_talk *talk)
{
    bool alt = talk->head.kind == FO_TALK_WANT_ALT;
    const char *build_id = fo_talk_text(talk, 1);
    uint32_t next = talk->head.number;
    struct fo_trusted_file found;

    if (++l->requests > REQUESTS_MAX || build_id == NULL)
        return false;
    l->search.file = alt && l->debug.real[0] != '\0' ? &l->debug : &l->file;
    fo_debug_file_open(&l->search, alt, fo_talk_text(talk, 0), build_id, &next, &found);
    bool is_sent = fo_talk_send_file(l->socket, next, found.fd);
    if (found.fd >= 0) {
        close(found.fd);
        l->debug = found;
    }
    return is_sent;
}

static bool handle_complaint(struct lookup *l, const struct fo_talk *talk)
{
    const char *text = fo_talk_text(talk, 0);

    if (l->has_complained || text == NULL)
        return false;
    l->has_complained = true;
    warn(l, text);
    return true;
}

/* If one child cannot be confined, none can. */
static bool handle_refusal(struct lookup *l, const struct fo_talk *talk)
{
    const char *text = fo_talk_text(talk, 0);

    if (text == NULL)
        return false;
    fo_warning("symbols are not read: the process that would read the files cannot be confined: %s",
               text);
    l->bounds->is_stopped = true;
    return true;
}

static bool handle_message(struct lookup *l, const struct fo_talk *talk)
{
    switch (talk->head.kind) {
    case FO_TALK_ANSWER:
        return handle_answer(l, talk);
    case FO_TALK_WANT_DEBUG:
    case FO_TALK_WANT_ALT:
        return answer_request(l, talk);
    case FO_TALK_COMPLAINT:
        return handle_complaint(l, talk);
    case FO_TALK_REFUSED:
        return handle_refusal(l, talk);
    default:
        return false;
    }
}

/* NULL: the file was read to its end. */
static const char *read_messages(struct lookup *l)
{
    static struct fo_talk talk;
    static char why[64];

    while (wait_for_message(l)) {
        if (!fo_talk_receive(l->socket, &talk))
            return "the process that reads it has ended";
        if (talk.head.kind == FO_TALK_END)
            return NULL;
        if (!handle_message(l, &talk))
            return "its symbols are too many, or too long";
    }
    snprintf(why, sizeof why, "it takes longer than %d seconds", FO_LOOKUP_SECONDS);
    return why;
}

/* A better reason than `why`, if a signal ended the child. */
static const char *reason_of(int status, const struct rusage *used, const char *why)
{
    static char text[128];
    long seconds = used->ru_utime.tv_sec + used->ru_stime.tv_sec;

    if (!WIFSIGNALED(status))
        return why;
    if (WTERMSIG(status) == SIGKILL && seconds + 1 >= FO_CONFINE_SECONDS)
        snprintf(text, sizeof text, "it takes longer than %d seconds of processor time",
                 FO_CONFINE_SECONDS);
    else if (WTERMSIG(status) != SIGKILL)
        snprintf(text, sizeof text, "signal %d (%s) ended the process that reads it",
                 WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        return why;
    return text;
}

static void end_child(struct lookup *l, const char *why)
{
    struct rusage used = {.ru_maxrss = 0};
    int status = 0;

    close(l->socket);
    kill(l->child, SIGKILL); /* it may not end by itself; if it has ended, its status stays */
    while (wait4(l->child, &status, 0, &used) < 0 && errno == EINTR)
        ;
    if (why != NULL && !l->has_complained)
        warn(l, reason_of(status, &used, why));
    l->bounds->failures += why != NULL || l->has_complained;
}

static bool start_child(struct lookup *l)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return false;
    l->child = fork();
    if (l->child == 0)
        fo_reader_run(l->wanted, pair[1], l->file.fd);
    close(pair[1]);
    l->socket = pair[0];
    if (l->child < 0)
        close(pair[0]);
    return l->child > 0;
}

static void copy_repeated(const struct fo_symbols_wanted *wanted)
{
    for (size_t i = 0; i < wanted->count; i++)
        if (fo_symbols_is_repeated(wanted, i))
            *wanted->codes[i] = *wanted->codes[i - 1];
}

void fo_lookup(struct fo_model *model, const struct fo_symbols_wanted *wanted,
               struct fo_lookup_bounds *bounds)
{
    const char *path = wanted->codes[0]->module;
    struct lookup l = {.model = model,
                       .wanted = wanted,
                       .bounds = bounds,
                       .search = {.module = path, .all = bounds->all},
                       .left = INT64_C(1000) * FO_LOOKUP_SECONDS};

    if (bounds->is_stopped)
        return;
    if (!fo_trusted_file_open(&l.file, path, bounds->all)) {
        if (l.file.refused[0] != '\0')
            warn(&l, l.file.refused);
        return;
    }
    if (start_child(&l)) {
        end_child(&l, read_messages(&l));
        copy_repeated(wanted);
    } else {
        warn(&l, strerror(errno));
        bounds->failures++;
    }
    close(l.file.fd);
    if (bounds->failures == FO_LOOKUP_FAILURES) {
        fo_warning("symbols of %d files could not be read; those of the other files are not tried",
                   FO_LOOKUP_FAILURES);
        bounds->is_stopped = true;
    }
}
