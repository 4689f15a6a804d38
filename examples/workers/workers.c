/* One SSL_CTX for all workers of a TLS server:  cc -g -o workers workers.c -lssl -lcrypto
 *
 *   FREEONCE_BACKEND=shm LD_PRELOAD=libfreeonce.so.0 ./workers server.pem server.key PORT WORKERS
 *
 * The parent makes the context, forks the workers and replaces one that dies.  A worker answers
 * each client with its pid, and whether the client's session was resumed. */
#include <arpa/inet.h>
#include <err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Before the fork: afterwards only the process that made a context may change it. */
static SSL_CTX *make_context(const char *certificate, const char *key)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    if (context == NULL || SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
        errx(1, "%s, %s: cannot be used", certificate, key);
    /* Sessions stay in the context's cache, which all workers share; a ticket only names one. */
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_SERVER);
    return context;
}

static int listen_at(const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((in_port_t)atoi(port)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 64) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        err(1, "port %s", port);
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

static void serve(SSL_CTX *context, int client)
{
    SSL *ssl = SSL_new(context);
    char answer[64];

    if (ssl != NULL && SSL_set_fd(ssl, client) == 1 && SSL_accept(ssl) == 1) {
        int length = snprintf(answer, sizeof answer, "pid %d resumed %d\n", (int)getpid(),
                              SSL_session_reused(ssl));
        if (SSL_write(ssl, answer, length) == length)
            SSL_shutdown(ssl);
    }
    SSL_free(ssl);
}

/* A worker uses the context as it is, and does not free it: the parent does. */
static _Noreturn void work(SSL_CTX *context, int listener)
{
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (;;) {
        int client = accept(listener, NULL, NULL);
        if (client >= 0) {
            serve(context, client);
            close(client);
        }
    }
}

static pid_t start(SSL_CTX *context, int listener)
{
    pid_t pid = fork();

    if (pid == 0)
        work(context, listener);
    if (pid < 0)
        warn("fork");
    return pid;
}

/* Replaces workers that die, until SIGTERM. */
static void watch(pid_t *workers, int count, SSL_CTX *context, int listener,
                  const sigset_t *signals)
{
    int number;
    pid_t gone;

    while (sigwait(signals, &number) == 0 && number != SIGTERM)
        while ((gone = waitpid(-1, NULL, WNOHANG)) > 0)
            for (int i = 0; i < count; i++)
                if (workers[i] == gone)
                    workers[i] = start(context, listener);
}

int main(int argc, char **argv)
{
    enum { MOST = 64 };
    pid_t workers[MOST];
    sigset_t signals;
    int count = argc == 5 ? atoi(argv[4]) : 0;

    if (count < 1 || count > MOST)
        errx(1, "usage: workers CERTIFICATE KEY PORT WORKERS (1 to %d)", MOST);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &signals, NULL); /* the parent waits for them */
    SSL_CTX *context = make_context(argv[1], argv[2]);
    int listener = listen_at(argv[3]);

    for (int i = 0; i < count; i++)
        workers[i] = start(context, listener);
    watch(workers, count, context, listener, &signals);
    for (int i = 0; i < count; i++)
        if (workers[i] > 0)
            kill(workers[i], SIGTERM);
    while (waitpid(-1, NULL, 0) > 0)
        continue;
    SSL_CTX_free(context);
    return 0;
}
