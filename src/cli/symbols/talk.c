/* See talk.h. */
#include "cli/symbols/talk.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

static size_t put(struct fo_talk *talk, size_t at, int index, const char *text)
{
    size_t length = text != NULL ? strnlen(text, FO_TALK_TEXT_MAX - 1) : 0;

    if (text == NULL)
        return at;
    memcpy(talk->text + at, text, length);
    talk->text[at + length] = '\0';
    talk->head.length[index] = (uint32_t)length + 1;
    return at + length + 1;
}

bool fo_talk_send(int socket, struct fo_talk_head head, const char *first, const char *second)
{
    static struct fo_talk talk;
    size_t used = 0;
    ssize_t n;

    head.length[0] = head.length[1] = 0;
    talk.head = head;
    used = put(&talk, used, 0, first);
    used = put(&talk, used, 1, second);
    do
        n = send(socket, &talk, offsetof(struct fo_talk, text) + used, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n > 0;
}

/* Do the lengths add up to `size`, and does a NUL end each text? */
static bool is_whole(const struct fo_talk *talk, size_t size)
{
    size_t at = 0;

    for (int i = 0; i < 2; i++) {
        size_t length = talk->head.length[i];
        if (length > FO_TALK_TEXT_MAX || length > size - at ||
            (length != 0 && talk->text[at + length - 1] != '\0'))
            return false;
        at += length;
    }
    return at == size;
}

bool fo_talk_receive(int socket, struct fo_talk *talk)
{
    size_t head = offsetof(struct fo_talk, text);
    ssize_t n;

    do
        n = recv(socket, talk, sizeof *talk, MSG_TRUNC);
    while (n < 0 && errno == EINTR);
    return n >= (ssize_t)head && n <= (ssize_t)sizeof *talk && is_whole(talk, (size_t)n - head);
}

const char *fo_talk_text(const struct fo_talk *talk, int index)
{
    const char *text = talk->text + (index == 0 ? 0 : talk->head.length[0]);

    return talk->head.length[index] != 0 ? text : NULL;
}

union control {
    char room[CMSG_SPACE(sizeof(int))];
    struct cmsghdr aligned;
};

bool fo_talk_send_file(int socket, uint32_t next, int file)
{
    union control control = {.room = {0}};
    struct iovec data = {&next, sizeof next};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
    ssize_t n;

    if (file >= 0) {
        message.msg_control = control.room;
        message.msg_controllen = sizeof control.room;
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        *head = (struct cmsghdr){CMSG_LEN(sizeof file), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(head), &file, sizeof file);
    }
    do
        n = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n > 0;
}

int fo_talk_receive_file(int socket, uint32_t *next)
{
    union control control;
    struct iovec data = {next, sizeof *next};
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = control.room,
                             .msg_controllen = sizeof control.room};
    int file = -1;
    ssize_t n;

    do
        n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    struct cmsghdr *head = n == sizeof *next ? CMSG_FIRSTHDR(&message) : NULL;
    if (head != NULL && head->cmsg_type == SCM_RIGHTS && head->cmsg_len == CMSG_LEN(sizeof file))
        memcpy(&file, CMSG_DATA(head), sizeof file);
    return file;
}
