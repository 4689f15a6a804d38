/* Servers in small, with a leak each: `leaking NAME [CLIENTS [STATUS]]`.  Handshakes are real: TLS
 * with client certificates, both ends in this process.  What is freed as it should be must not be
 * reported. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

static EVP_PKEY *key;
static X509 *certificate;

static void need(int true, const char *what)
{
    if (true)
        return;
    fprintf(stderr, "leaking: %s\n", what);
    ERR_print_errors_fp(stderr);
    exit(70);
}

static void make_certificate(void)
{
    key = EVP_EC_gen("P-256");
    certificate = X509_new();
    need(key != NULL && certificate != NULL, "no key");
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *)"planted", -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    X509_set_pubkey(certificate, key);
    need(X509_sign(certificate, key, EVP_sha256()) > 0, "no signature");
}

static int accept_any(int ok, X509_STORE_CTX *store)
{
    (void)ok, (void)store;
    return 1;
}

static SSL_CTX *make_context(const SSL_METHOD *method)
{
    SSL_CTX *ctx = SSL_CTX_new(method);

    need(ctx != NULL && SSL_CTX_use_certificate(ctx, certificate) == 1 &&
             SSL_CTX_use_PrivateKey(ctx, key) == 1,
         "no context");
    SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"planted", 7);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, accept_any);
    return ctx;
}

/* One client: a handshake and 16 bytes.  What the server then does with its end is the leak. */
static void serve(SSL_CTX *server_ctx, SSL_CTX *client_ctx, void (*leak)(SSL *server))
{
    SSL *server = SSL_new(server_ctx), *client = SSL_new(client_ctx);
    BIO *one, *other;
    char data[16] = "hello, planted!";
    int done = 0;

    need(BIO_new_bio_pair(&one, 0, &other, 0) == 1, "no pair");
    SSL_set_bio(server, one, one);
    SSL_set_bio(client, other, other);
    SSL_set_accept_state(server);
    SSL_set_connect_state(client);
    for (int i = 0; i < 100 && done != 3; i++)
        done = (SSL_do_handshake(client) == 1) | (SSL_do_handshake(server) == 1) << 1;
    need(done == 3, "no handshake");
    need(SSL_write(client, data, sizeof data) == sizeof data, "no write");
    need(SSL_read(server, data, sizeof data) == sizeof data, "no read");
    leak(server);
    SSL_shutdown(client);
    SSL_shutdown(server);
    SSL_free(client);
    SSL_free(server);
}

/* --- the leaks ---------------------------------------------------------------------------------
 */

/* As mod_ssl had it: the certificate of each client. */
static void keep_certificate(SSL *server)
{
    X509 *peer = SSL_get1_peer_certificate(server);

    need(peer != NULL && X509_get_version(peer) == 2, "no certificate");
}

static void keep_session(SSL *server)
{
    SSL_SESSION *session = SSL_get1_session(server);

    need(session != NULL && SSL_SESSION_get_timeout(session) > 0, "no session");
}

static void keep_key(SSL *server)
{
    X509 *peer = SSL_get1_peer_certificate(server);
    EVP_PKEY *peer_key = EVP_PKEY_dup(X509_get0_pubkey(peer));

    need(peer_key != NULL && EVP_PKEY_get_bits(peer_key) == 256, "no key");
    X509_free(peer);
}

static void keep_chain(SSL *server)
{
    BIO *chain = BIO_push(BIO_new(BIO_f_base64()), BIO_new(BIO_s_mem()));

    (void)server;
    need(BIO_write(chain, "planted", 7) == 7, "no chain");
}

static void keep_nothing(SSL *server)
{
    X509 *peer = SSL_get1_peer_certificate(server);

    need(peer != NULL, "no certificate");
    X509_free(peer);
}

static void serve_all(int clients, void (*leak)(SSL *server))
{
    SSL_CTX *server = make_context(TLS_server_method()),
            *client = make_context(TLS_client_method());

    for (int i = 0; i < clients; i++)
        serve(server, client, leak);
    SSL_CTX_free(server);
    SSL_CTX_free(client);
}

static void reload(int times)
{
    SSL_CTX *client = make_context(TLS_client_method()), *server = NULL;

    for (int i = 0; i < times; i++) {
        server = make_context(TLS_server_method()); /* the old one is forgotten */
        serve(server, client, keep_nothing);
    }
    SSL_CTX_free(server);
    SSL_CTX_free(client);
}

/* --- where it is kept --------------------------------------------------------------------------
 */

static X509 *volatile kept;                   /* in a variable */
static X509 *volatile *volatile kept_in_heap; /* in malloc's memory */
static pthread_barrier_t barrier;

static void *keep_on_stack(void *unused)
{
    X509 *volatile mine = X509_new();

    (void)unused;
    need(mine != NULL, "no certificate");
    pthread_barrier_wait(&barrier);
    for (;;)
        pause();
    return (void *)mine;
}

static void keep_all(void)
{
    pthread_t thread;

    kept = X509_dup(certificate);
    kept_in_heap = malloc(16 * sizeof(X509 *));
    kept_in_heap[7] = X509_dup(certificate);
    pthread_barrier_init(&barrier, NULL, 2);
    need(pthread_create(&thread, NULL, keep_on_stack, NULL) == 0, "no thread");
    pthread_barrier_wait(&barrier);
}

static void clean(void)
{
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static void end_here(void)
{
    exit(0);
}

/* The process ends on a stack in malloc's memory, above a pointer. */
static void end_in_coroutine(void)
{
    enum { SIZE = 100000 }; /* so little that malloc(3) does not map it apart */
    static ucontext_t before, coroutine;
    X509 *volatile *low = malloc(16 * sizeof(X509 *));
    char *stack = malloc(SIZE);

    need((char *)low < stack && getcontext(&coroutine) == 0, "no coroutine");
    for (int i = 0; i < 16; i++)
        low[i] = X509_dup(certificate);
    clean();
    coroutine.uc_stack.ss_sp = stack;
    coroutine.uc_stack.ss_size = SIZE;
    makecontext(&coroutine, end_here, 0);
    swapcontext(&before, &coroutine);
}

static void in_child(int clients, void (*end)(int))
{
    fflush(NULL);
    pid_t child = fork();

    need(child >= 0, "no child");
    if (child == 0) {
        serve_all(clients, keep_certificate);
        end(0);
    }
    waitpid(child, NULL, 0);
}

static void kill_self(int unused)
{
    (void)unused;
    raise(SIGKILL);
}

/* A filter of system calls that allows all. */
static void enter_sandbox(void)
{
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    const struct sock_fprog program = {1, &allow};

    need(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
             prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0,
         "no sandbox");
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    int clients = argc > 2 ? atoi(argv[2]) : 20;

    if (strcmp(name, "in-container") ==
        0) { /* the rest of the words, in a sandbox from the start */
        enter_sandbox();
        execv("/proc/self/exe", argv + 1);
    }
    make_certificate();
    if (strcmp(name, "x509") == 0)
        serve_all(clients, keep_certificate);
    else if (strcmp(name, "session") == 0)
        serve_all(clients, keep_session);
    else if (strcmp(name, "pkey") == 0)
        serve_all(clients, keep_key);
    else if (strcmp(name, "bio") == 0)
        serve_all(clients, keep_chain);
    else if (strcmp(name, "reload") == 0)
        reload(clients);
    else if (strcmp(name, "healthy") == 0)
        serve_all(clients, keep_nothing);
    else if (strcmp(name, "sandboxed") == 0)
        enter_sandbox();
    else if (strcmp(name, "kept") == 0)
        keep_all();
    else if (strcmp(name, "kept-below") == 0)
        end_in_coroutine();
    else if (strcmp(name, "child-exit") == 0)
        in_child(clients, exit);
    else if (strcmp(name, "child-_exit") == 0)
        in_child(clients, _exit);
    else if (strcmp(name, "child-killed") == 0)
        in_child(clients, kill_self);
    else
        need(0, "which leak?");
    clean();
    puts(name);
    return argc > 3 ? atoi(argv[3]) : 0;
}
