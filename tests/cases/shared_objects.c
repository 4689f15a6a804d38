/* Which process frees an object that processes share, or of which each has a copy?  The answers are
 * facts: the runner knows which cures are applied. */
#include <fcntl.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fault.h"

static void count_free(void *parent, void *p, CRYPTO_EX_DATA *data, int index, long argument,
                       void *times)
{
    (void)parent, (void)p, (void)data, (void)index, (void)argument;
    ++*(int *)times;
}

/* The old SSL_CTX is freed while a worker has it. */
static void under_a_worker(void (*free_old)(SSL_CTX *))
{
    static int freed;
    int end[2];
    char byte;

    CHECK(SSL_CTX_get_ex_new_index(0, &freed, NULL, NULL, count_free) >= 0);
    SSL_CTX *old = SSL_CTX_new(TLS_server_method());
    CHECK(old != NULL && pipe(end) == 0);
    pid_t worker = fork();
    if (worker == 0) {
        close(end[1]);
        CHECK(read(end[0], &byte, 1) == 0);
        _exit(0);
    }
    free_old(old);
    fact("while-it-lives", "%d", freed);
    close(end[1]);
    wait_for(worker);
    SSL_CTX_free(SSL_CTX_new(TLS_server_method()));
    fact("afterwards", "%d", freed);
}

/* As a server does that reloads its files. */
static void free_under_a_worker(void)
{
    under_a_worker(SSL_CTX_free);
}

static void free_context(void *parent, void *p, CRYPTO_EX_DATA *data, int index, long argument,
                         void *unused)
{
    static volatile unsigned calls;

    (void)parent, (void)data, (void)index, (void)argument, (void)unused;
    SSL_CTX_free(p);
    calls++; /* no tail call: OpenSSL would be the caller */
}

/* The context is ex_data of another object, and is freed with it. */
static void free_with_another(SSL_CTX *old)
{
    int index = X509_get_ex_new_index(0, NULL, NULL, NULL, free_context);
    X509 *certificate = X509_new();

    CHECK(index >= 0 && certificate != NULL && X509_set_ex_data(certificate, index, old) == 1);
    X509_free(X509_new()); /* the library finds OpenSSL's function here */
    SSL_CTX_free(SSL_CTX_new(TLS_client_method()));
    X509_free(certificate);
}

static void free_in_callback_under_a_worker(void)
{
    under_a_worker(free_with_another);
}

/* A worker can release the references that it took, and no more: the parent's free is the last one.
 */
static void reference_in_worker(void)
{
    static int freed;

    CHECK(SSL_CTX_get_ex_new_index(0, &freed, NULL, NULL, count_free) >= 0);
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    CHECK(context != NULL);
    pid_t worker = fork();
    if (worker == 0) {
        /* The first call finds OpenSSL's function, the next ones use it. */
        for (int i = 0; i < 3; i++)
            CHECK(SSL_CTX_up_ref(context) == 1);
        for (int i = 0; i < 4; i++) /* the last one is its parent's */
            SSL_CTX_free(context);
        _exit(0);
    }
    wait_for(worker);
    fact("before", "%d", freed);
    SSL_CTX_free(context);
    fact("freed", "%d", freed);
}

static SSL *connection_that_tells(SSL_CTX *context, int *freed)
{
    CHECK(SSL_get_ex_new_index(0, freed, NULL, NULL, count_free) >= 0);
    SSL *connection = SSL_new(context);
    CHECK(connection != NULL);
    return connection;
}

/* As in servers that fork for each connection: the parent frees its copy while the child works. */
static void connection_of_a_child(void)
{
    static int freed;
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    SSL *connection = connection_that_tells(context, &freed);
    int go[2];
    char byte;

    CHECK(pipe(go) == 0);
    pid_t child = fork();
    if (child == 0) {
        close(go[1]);
        CHECK(read(go[0], &byte, 1) == 0); /* until its parent has freed the connection */
        CHECK(SSL_get_SSL_CTX(connection) == context);
        SSL_free(connection);
        exit(freed);
    }
    SSL_free(connection);
    fact("while-the-child-lives", "%d", freed);
    pid_t later = fork();
    if (later == 0) { /* forked after the parent freed the connection */
        close(go[1]);
        pause();
        _exit(0);
    }
    close(go[1]);
    wait_for(child);
    SSL_free(SSL_new(context));
    fact("afterwards", "%d", freed);
    kill(later, SIGKILL);
    CHECK(waitpid(later, NULL, 0) == later);
    SSL_CTX_free(context);
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) != -1;
}

/* Parent and child have a descriptor each.  A free of the connection closes it once: the number may
 * be that of another file later. */
static void descriptor_closes(bool again)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    SSL *connection = SSL_new(context), *twice = again ? connection : NULL;
    int ends[2], go[2];
    char byte;

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 && pipe(go) == 0);
    BIO *bio = BIO_new_socket(ends[0], BIO_CLOSE);
    CHECK(bio != NULL);
    SSL_set_bio(connection, bio, bio);
    pid_t child = fork();
    if (child == 0) {
        close(go[1]);
        CHECK(read(go[0], &byte, 1) == 0);
        CHECK(is_open(ends[0]));
        SSL_free(connection);
        CHECK(!is_open(ends[0]));
        CHECK(dup2(go[0], ends[0]) == ends[0]);
        SSL_free(twice);
        CHECK(is_open(ends[0]));
        exit(0);
    }
    SSL_free(connection);
    fact("closed", "%s", is_open(ends[0]) ? "late" : "at once");
    CHECK(dup2(go[0], ends[0]) == ends[0]);
    close(go[1]);
    wait_for(child);
    SSL_free(SSL_new(context));
    fact("another-file", "%s", is_open(ends[0]) ? "open" : "closed");
    SSL_CTX_free(context);
}

static void descriptor_of_a_connection(void)
{
    descriptor_closes(false);
}

/* A double free closes nothing. */
static void descriptor_of_a_connection_freed_twice(void)
{
    descriptor_closes(true);
}

/* A child frees the connection at its end; its parent still uses it. */
static void connection_of_a_parent(void)
{
    static int freed;
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    SSL *connection = connection_that_tells(context, &freed);

    for (int i = 0; i < 2; i++) {
        pid_t child = fork();
        if (child == 0) {
            CHECK(SSL_up_ref(connection) == 1);
            SSL_free(connection);
            SSL_free(connection);
            exit(freed);
        }
        wait_for(child);
    }
    fact("by-children", "%d", freed);
    CHECK(SSL_get_SSL_CTX(connection) == context);
    SSL_free(connection);
    fact("freed", "%d", freed);
    SSL_CTX_free(context);
}

/* A connection is made after the fork and passed to the child, which frees it. */
static void connection_passed_on(void)
{
    static int freed;
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    int ends[2], end;
    SSL *connection;

    SSL_free(connection_that_tells(context, &freed));
    freed = 0;
    CHECK(pipe(ends) == 0);
    pid_t child = fork();
    if (child == 0) {
        CHECK(read(ends[0], &connection, sizeof connection) == sizeof connection);
        SSL_free(connection);
        _exit(freed == 1 ? 0 : 1);
    }
    /* Its address must not be that of an earlier connection. */
    SSL *others[4];
    for (int i = 0; i < 4; i++)
        CHECK((others[i] = SSL_new(context)) != NULL);
    CHECK((connection = SSL_new(context)) != NULL);
    pid_t heir = fork();
    if (heir == 0)
        _exit(0);
    wait_for(heir);
    SSL_free(others[0]); /* while the first child lives, which never had it */
    fact("by-parent", "%s", freed == 1 ? "freed" : "kept");
    CHECK(write(ends[1], &connection, sizeof connection) == sizeof connection);
    CHECK(waitpid(child, &end, 0) == child);
    fact("by-child", "%s", end == 0 ? "freed" : "kept");
    for (int i = 1; i < 4; i++)
        SSL_free(others[i]);
    SSL_CTX_free(context);
}

/* OpenSSL finds no object there, and behaves as without the library; this may be a crash, so it
 * happens in a child. */
static void use_by_free(SSL *connection, BIO *bio)
{
    (void)bio;
    SSL_free(connection);
}

static void use_own(SSL_CTX *context, void (*use)(SSL *connection, BIO *bio))
{
    SSL *connection = SSL_new(context);
    BIO *bio = BIO_new(BIO_s_mem());

    CHECK(connection != NULL && bio != NULL);
    use(connection, bio);
    if (use != use_by_free)
        SSL_free(connection);
    BIO_free(bio);
}

/* A process makes a connection, and another one uses its address, where it has no object. */
static void pass_on(void (*use)(SSL *connection, BIO *bio))
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    struct {
        SSL *connection;
        BIO *bio;
    } made;
    int to[2], stay[2], end;
    char byte;

    CHECK(context != NULL && pipe(to) == 0 && pipe(stay) == 0);
    use_own(context, use);
    pid_t maker = fork();
    if (maker == 0) {
        close(stay[1]);
        for (int i = 0; i < 20; i++) /* the last one is where no other process has had a block */
            made.connection = SSL_new(context);
        made.bio = BIO_new(BIO_s_mem());
        CHECK(write(to[1], &made, sizeof made) == sizeof made);
        CHECK(read(stay[0], &byte, 1) == 0);
        _exit(0);
    }
    CHECK(read(to[0], &made, sizeof made) == sizeof made);
    pid_t receiver = fork();
    if (receiver == 0) {
        alarm(20);
        use(made.connection, made.bio);
        _exit(0);
    }
    CHECK(waitpid(receiver, &end, 0) == receiver);
    close(stay[1]);
    wait_for(maker);
    SSL_CTX_free(context);
}

static void use_by_set_fd(SSL *connection, BIO *bio)
{
    (void)bio;
    SSL_set_fd(connection, 0);
}

static void use_by_accept(SSL *connection, BIO *bio)
{
    (void)bio;
    SSL_accept(connection);
}

static void use_by_write(SSL *connection, BIO *bio)
{
    (void)bio;
    SSL_write(connection, "", 1);
}

static void use_by_bio(SSL *connection, BIO *bio)
{
    (void)connection;
    BIO_get_data(bio);
}

static void passed_and_freed(void)
{
    pass_on(use_by_free);
}

static void passed_and_given_a_descriptor(void)
{
    pass_on(use_by_set_fd);
}

static void passed_and_accepted(void)
{
    pass_on(use_by_accept);
}

static void passed_and_written(void)
{
    pass_on(use_by_write);
}

static void passed_by_bio(void)
{
    pass_on(use_by_bio);
}

/* The calls of a server: each row of uses.def. */
static void use_as_a_server(SSL *connection)
{
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    size_t done;
    char byte = 0;

    CHECK(in != NULL && out != NULL && SSL_set_fd(connection, 0) == 1);
    CHECK(SSL_set_rfd(connection, 0) == 1 && SSL_set_wfd(connection, 1) == 1);
    SSL_set_bio(connection, in, out);
    CHECK(SSL_get_rbio(connection) == in && SSL_get_wbio(connection) == out);
    CHECK(BIO_get_data(in) != NULL);
    SSL_set_connect_state(connection);
    CHECK(SSL_connect(connection) == -1);
    CHECK(SSL_clear(connection) == 1);
    SSL_set_accept_state(connection);
    CHECK(SSL_accept(connection) == -1 && SSL_do_handshake(connection) == -1);
    CHECK(SSL_get_error(connection, -1) == SSL_ERROR_WANT_READ);
    CHECK(SSL_read(connection, &byte, 1) == -1 && SSL_write(connection, &byte, 1) == -1);
    CHECK(SSL_read_ex(connection, &byte, 1, &done) == 0);
    CHECK(SSL_write_ex(connection, &byte, 1, &done) == 0);
    CHECK(SSL_shutdown(connection) == -1);
}

/* A child uses an inherited connection and one of its own; its parent uses its copy. */
static void used_after_a_fork(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    SSL *inherited = context != NULL ? SSL_new(context) : NULL;

    CHECK(inherited != NULL);
    use_as_a_server(inherited);
    pid_t child = fork();
    if (child == 0) {
        SSL *own = SSL_new(context);
        CHECK(own != NULL);
        use_as_a_server(own);
        use_as_a_server(inherited);
        SSL_free(own);
        _exit(0);
    }
    use_as_a_server(inherited);
    wait_for(child);
    SSL_free(inherited);
    SSL_CTX_free(context);
}

const struct fault shared_object_faults[] = {
    {"free-under-a-worker", free_under_a_worker},
    {"free-in-callback-under-a-worker", free_in_callback_under_a_worker},
    {"reference-in-worker", reference_in_worker},
    {"connection-of-a-child", connection_of_a_child},
    {"connection-of-a-parent", connection_of_a_parent},
    {"descriptor-of-a-connection", descriptor_of_a_connection},
    {"descriptor-of-a-connection-freed-twice", descriptor_of_a_connection_freed_twice},
    {"connection-passed-on", connection_passed_on},
    {"passed-and-freed", passed_and_freed},
    {"passed-and-given-a-descriptor", passed_and_given_a_descriptor},
    {"passed-and-accepted", passed_and_accepted},
    {"passed-and-written", passed_and_written},
    {"passed-by-bio", passed_by_bio},
    {"used-after-a-fork", used_after_a_fork},
    {NULL, NULL},
};
