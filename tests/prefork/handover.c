/* How does a connection get from one worker to another?  Its descriptor goes through a UNIX socket,
 * and with it the address of the SSL object, which is valid in both only if OpenSSL's memory is
 * shared. */
#include "server.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* The queues outlive the workers: the successor of a dead worker reads its messages. */
int handover_open(struct server *server)
{
    for (unsigned i = 0; i < server->settings.workers; i++)
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                       server->queues[i]) != 0)
            return -1;
    return 0;
}

union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

int handover_send(const struct server *server, unsigned place, SSL *ssl, int connection)
{
    union control control = {.bytes = {0}};
    struct iovec data = {&ssl, sizeof ssl};
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);

    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof connection);
    memcpy(CMSG_DATA(rights), &connection, sizeof connection);
    return sendmsg(server->queues[place][0], &message, MSG_NOSIGNAL) == sizeof ssl ? 0 : -1;
}

SSL *handover_receive(const struct server *server, unsigned place, int *connection)
{
    union control control;
    SSL *ssl = NULL;
    struct iovec data = {&ssl, sizeof ssl};
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};

    if (recvmsg(server->queues[place][1], &message, MSG_CMSG_CLOEXEC) != sizeof ssl)
        return NULL;
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
    if (rights == NULL || rights->cmsg_type != SCM_RIGHTS)
        return NULL;
    memcpy(connection, CMSG_DATA(rights), sizeof *connection);
    return ssl;
}
