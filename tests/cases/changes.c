/* Can a process change objects that another one made?  The answers are facts: the mode in which a
 * context verifies clients is 3 as the maker set it, and 0 if a child has switched it off. */
#define OPENSSL_SUPPRESS_DEPRECATED /* SRP */
#include <dlfcn.h>
#include <openssl/ct.h>
#include <openssl/srp.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fault.h"

enum { STRICT = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT };

static SSL_CTX *strict_context(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    CHECK(context != NULL);
    SSL_CTX_set_verify(context, STRICT, NULL);
    return context;
}

/* The mode in which a new connection verifies. */
static int mode_of(SSL_CTX *context)
{
    SSL *connection = SSL_new(context);
    int mode = connection != NULL ? SSL_get_verify_mode(connection) : -1;

    SSL_free(connection);
    return mode;
}

/* As a script binding does at its exit. */
static void change_in_child(void)
{
    SSL_CTX *context = strict_context();
    pid_t child = fork_known();

    if (child == 0) {
        SSL_CTX_set_verify(context, 0, NULL);
        fact("in-child", "%d", mode_of(context));
        SSL_CTX_free(context);
        _exit(0);
    }
    fact("child", "%d", (int)child);
    fact("context", "%p", (void *)context);
    wait_for(child);
    fact("in-parent", "%d", mode_of(context));
    SSL_CTX_free(context);
}

/* --- each function of the table ------------------------------------------------------------------
 */

enum { ANSWERS_0, ANSWERS_1, HELD, COMMAND, GIVES };

static const struct row {
    const char *name, *type;
    int how, argument;
} rows[] = {
#define FO_CHANGE(name, type, how, argument, part, since3, since4) {#name, type, how, argument},
#include "../../src/load/changes.def"
};
enum { ROWS = sizeof rows / sizeof rows[0], OBJECTS = 10, SEEN = 256 };

static struct object {
    const char *type;
    void *p;
    size_t size; /* so much of it is compared */
    char before[SEEN];
} objects[OBJECTS];

static void make_objects(void)
{
    X509_STORE *store = X509_STORE_new();
    const struct object made[OBJECTS] = {
        {.type = "SSL_CTX", .p = strict_context(), .size = SEEN},
        {.type = "X509_STORE", .p = store, .size = 64},
        {.type = "X509_LOOKUP", .p = X509_STORE_add_lookup(store, X509_LOOKUP_file()), .size = 32},
        {.type = "X509_VERIFY_PARAM", .p = X509_VERIFY_PARAM_new(), .size = 64},
        {.type = "CTLOG_STORE", .p = CTLOG_STORE_new(), .size = 16},
        {.type = "SRP_VBASE", .p = SRP_VBASE_new(NULL), .size = 16},
        {.type = "SSL_CONF_CTX", .p = SSL_CONF_CTX_new(), .size = 64},
        {.type = "X509", .p = X509_new(), .size = SEEN},
        {.type = "X509_CRL", .p = X509_CRL_new(), .size = 128},
        {.type = "EVP_PKEY", .p = EVP_PKEY_new(), .size = 64},
    };

    for (int i = 0; i < OBJECTS; i++) {
        objects[i] = made[i];
        CHECK(made[i].p != NULL);
        memcpy(objects[i].before, made[i].p, made[i].size);
    }
}

static struct object *object_of(const char *type)
{
    for (int i = 0; i < OBJECTS; i++)
        if (strcmp(objects[i].type, type) == 0)
            return &objects[i];
    return NULL;
}

static bool is_refused(const struct row *row)
{
    struct object *o = object_of(row->type);
    long (*function)(void *, intptr_t, intptr_t, intptr_t, intptr_t, intptr_t, intptr_t);

    *(void **)&function = dlsym(RTLD_DEFAULT, row->name);
    intptr_t command = row->how == COMMAND ? SSL_CTRL_SET_SESS_CACHE_MODE : 7;
    long answer = row->argument == 1 ? function(o->p, command, 7, 7, 7, 7, 7)
                                     : function((void *)(intptr_t)7, (intptr_t)o->p, 7, 7, 7, 7, 7);
    return answer == (row->how == ANSWERS_1) && memcmp(o->p, o->before, o->size) == 0;
}

/* As programs do that find OpenSSL's functions by dlsym(3).  The arguments are nonsense. */
static void change_by_every_function(void)
{
    int tried = 0, refused = 0;

    make_objects();
    pid_t child = fork_known();
    if (child == 0) {
        for (size_t i = 0; i < ROWS; i++) {
            if (rows[i].how == GIVES || dlsym(RTLD_DEFAULT, rows[i].name) == NULL ||
                object_of(rows[i].type) == NULL)
                continue;
            tried++;
            if (is_refused(&rows[i]))
                refused++;
            else
                fact("not-refused", "%s", rows[i].name);
        }
        fact("enough", "%s", tried > 210 ? "yes" : "no");
        fact("all", "%s", refused == tried ? "refused" : "not");
        _exit(0);
    }
    wait_for(child);
}

/* --- what may be changed -------------------------------------------------------------------------
 */

static void change_by_its_maker(void)
{
    SSL_CTX *context = strict_context();
    int end[2];
    char byte;

    CHECK(pipe(end) == 0);
    pid_t child = fork_known();
    if (child == 0) {
        close(end[1]);
        SSL_CTX *own = strict_context();
        SSL_CTX_set_verify(own, SSL_VERIFY_PEER, NULL);
        CHECK(read(end[0], &byte, 1) == 0);
        fact("own", "%d", mode_of(own));
        fact("parents", "%d", mode_of(context));
        SSL_CTX_free(own);
        _exit(0);
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    close(end[1]);
    wait_for(child);
    SSL_CTX_free(context);
}

static void read_in_child(void)
{
    SSL_CTX *context = strict_context();
    pid_t child = fork_known();

    if (child == 0) {
        CHECK(SSL_CTX_get_verify_mode(context) == STRICT && SSL_CTX_get0_param(context) != NULL);
        CHECK(SSL_CTX_sess_number(context) == 0 &&
              SSL_CTX_get_mode(context) == SSL_MODE_AUTO_RETRY);
        CHECK(SSL_CTX_get_session_cache_mode(context) == SSL_SESS_CACHE_SERVER);
        CHECK(SSL_CTX_get_cert_store(context) != NULL && mode_of(context) == STRICT);
        _exit(0);
    }
    wait_for(child);
    SSL_CTX_free(context);
}

/* A child may change the parameters of a connection that it inherited, not those of the context. */
static void change_parameters(void)
{
    SSL_CTX *context = strict_context();
    SSL *connection = SSL_new(context);
    pid_t child = fork_known();

    CHECK(connection != NULL);
    if (child == 0) {
        X509_VERIFY_PARAM *own = SSL_get0_param(connection);
        X509_VERIFY_PARAM *common = SSL_CTX_get0_param(context);
        fact("of-connection", "%d", X509_VERIFY_PARAM_set1_host(own, "example.org", 0));
        fact("of-context", "%d", X509_VERIFY_PARAM_set1_host(common, "example.org", 0));
        _exit(0);
    }
    wait_for(child);
    SSL_free(connection);
    SSL_CTX_free(context);
}

/* The commands that a server reads from its configuration change the context, too. */
static void change_by_command(void)
{
    SSL_CTX *context = strict_context();
    SSL_CONF_CTX *commands = SSL_CONF_CTX_new();

    CHECK(commands != NULL);
    SSL_CONF_CTX_set_flags(commands, SSL_CONF_FLAG_FILE | SSL_CONF_FLAG_SERVER);
    SSL_CONF_CTX_set_ssl_ctx(commands, context);
    CHECK(SSL_CONF_cmd(commands, "VerifyMode", "Require") == 2);
    pid_t child = fork_known();
    if (child == 0) {
        fact("answer", "%d", SSL_CONF_cmd(commands, "VerifyMode", "Request"));
        fact("in-child", "%d", mode_of(context));
        CHECK(SSL_CONF_cmd_value_type(commands, "VerifyMode") == SSL_CONF_TYPE_STRING);
        _exit(0);
    }
    wait_for(child);
    fact("in-parent", "%d", mode_of(context));
    SSL_CONF_CTX_free(commands);
    SSL_CTX_free(context);
}

/* --- what a context holds ------------------------------------------------------------------------
 */

/* A certificate that signs itself. */
static X509 *certificate_of(EVP_PKEY *key)
{
    X509 *made = X509_new();
    X509_NAME *name = X509_get_subject_name(made);

    CHECK(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const void *)"ca", -1, -1, 0) == 1);
    CHECK(X509_set_version(made, 2) == 1 && X509_set_issuer_name(made, name) == 1);
    CHECK(ASN1_INTEGER_set(X509_get_serialNumber(made), 1) == 1);
    CHECK(X509_gmtime_adj(X509_getm_notBefore(made), -3600) != NULL);
    CHECK(X509_gmtime_adj(X509_getm_notAfter(made), 3600) != NULL);
    CHECK(X509_set_pubkey(made, key) == 1 && X509_sign(made, key, EVP_sha256()) > 0);
    return made;
}

/* As a server verifies a client: 1, or the negative error. */
static int verify(X509_STORE *store, X509 *certificate)
{
    X509_STORE_CTX *check = X509_STORE_CTX_new();

    CHECK(check != NULL && X509_STORE_CTX_init(check, store, certificate, NULL) == 1);
    X509_STORE_CTX_set_purpose(check, X509_PURPOSE_SSL_CLIENT);
    int answer = X509_verify_cert(check) == 1 ? 1 : -X509_STORE_CTX_get_error(check);
    X509_STORE_CTX_free(check);
    return answer;
}

/* Five changes by a child; after any of them its parent would refuse each client. */
static void change_what_is_held(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = certificate_of(key);
    X509_STORE *store = X509_STORE_new();
    X509_CRL *list = X509_CRL_new();
    ASN1_OBJECT *any = OBJ_nid2obj(NID_anyExtendedKeyUsage);

    CHECK(key != NULL && list != NULL && X509_STORE_add_cert(store, certificate) == 1);
    fact("before", "%d", verify(store, certificate));
    pid_t child = fork_known();
    if (child == 0) {
        int refused =
            (X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK) == 0) +
            (X509_VERIFY_PARAM_set_flags(X509_STORE_get0_param(store), X509_V_FLAG_CRL_CHECK) ==
             0) +
            (X509_add1_reject_object(certificate, any) == 0) +
            (X509_CRL_set_version(list, 1) == 0) + (EVP_PKEY_set_type(key, EVP_PKEY_RSA) == 0);
        fact("refused", "%d", refused);
        _exit(0);
    }
    wait_for(child);
    fact("verified", "%d", verify(store, certificate));
    fact("rejects", "%s", X509_get0_reject_objects(certificate) == NULL ? "nothing" : "some");
    fact("version", "%ld", X509_CRL_get_version(list));
    fact("key", "%s", EVP_PKEY_get_id(key) == EVP_PKEY_EC ? "EC" : "changed");
    X509_CRL_free(list);
    X509_STORE_free(store);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

/* The child may change objects that it made, those that another process passed to it, and copies.
 */
static void change_what_is_passed(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = certificate_of(key), *made = NULL;
    int there[2], end[2];
    char byte;

    CHECK(pipe(there) == 0 && pipe(end) == 0);
    pid_t maker = fork_known();
    if (maker == 0) {
        close(end[1]);
        made = certificate_of(key);
        CHECK(write(there[1], &made, sizeof made) == sizeof made);
        CHECK(read(end[0], &byte, 1) == 0);
        X509_free(made);
        _exit(0);
    }
    CHECK(read(there[0], &made, sizeof made) == sizeof made);
    pid_t sibling = fork_known();
    if (sibling == 0) {
        EVP_PKEY *own_key = EVP_EC_gen("P-256");
        X509 *own = certificate_of(own_key), *copy = X509_dup(certificate);
        ASN1_OBJECT *any = OBJ_nid2obj(NID_anyExtendedKeyUsage);
        CHECK(X509_add1_trust_object(made, any) == 1 && X509_alias_set1(made, NULL, 0) == 1);
        CHECK(X509_add1_trust_object(own, any) == 1 && X509_add1_trust_object(copy, any) == 1);
        CHECK(EVP_PKEY_set_ex_data(own_key, 0, NULL) == 1);
        X509_free(copy);
        X509_free(own);
        EVP_PKEY_free(own_key);
        _exit(0);
    }
    wait_for(sibling);
    CHECK(X509_add1_trust_object(made, OBJ_nid2obj(NID_anyExtendedKeyUsage)) == 1);
    close(end[1]);
    wait_for(maker);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

/* A child makes it, and another child changes it. */
static void change_by_a_sibling(void)
{
    SSL_CTX *context = strict_context(), *made = NULL;
    int there[2], end[2];
    char byte;

    CHECK(pipe(there) == 0 && pipe(end) == 0);
    pid_t maker = fork_known();
    if (maker == 0) {
        close(end[1]);
        made = strict_context();
        CHECK(write(there[1], &made, sizeof made) == sizeof made);
        CHECK(read(end[0], &byte, 1) == 0);
        fact("in-maker", "%d", mode_of(made));
        SSL_CTX_free(made);
        _exit(0);
    }
    CHECK(read(there[0], &made, sizeof made) == sizeof made);
    pid_t sibling = fork_known();
    if (sibling == 0) {
        SSL_CTX_set_verify(made, 0, NULL);
        fact("in-sibling", "%d", mode_of(made));
        _exit(0);
    }
    wait_for(sibling);
    close(end[1]);
    wait_for(maker);
    SSL_CTX_free(context);
}

/* A server goes into the background after it made its context.  This process uses no OpenSSL before
 * the fork, so that it shares nothing with the server. */
static void in_background(bool has_worker)
{
    int gone[2], done[2];
    char byte;

    CHECK(pipe(gone) == 0 && pipe(done) == 0);
    pid_t maker = fork();
    if (maker == 0) {
        SSL_CTX *context = strict_context();
        close(gone[1]);
        close(done[0]);
        pid_t worker = has_worker ? fork() : 1;
        if (worker == 0) {
            close(done[1]);
            pause();
        }
        if (fork() != 0)
            _exit(0);
        CHECK(read(gone[0], &byte, 1) == 0);
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
        fact("mode", "%d", mode_of(context));
        if (has_worker)
            kill(worker, SIGKILL);
        _exit(0);
    }
    close(done[1]);
    wait_for(maker);
    close(gone[1]);
    CHECK(read(done[0], &byte, 1) == 0);
}

static void change_in_background(void)
{
    in_background(false);
}

static void change_beside_a_worker(void)
{
    in_background(true);
}

const struct fault change_faults[] = {
    {"change-in-child", change_in_child},
    {"change-by-every-function", change_by_every_function},
    {"change-by-its-maker", change_by_its_maker},
    {"read-in-child", read_in_child},
    {"change-parameters", change_parameters},
    {"change-by-command", change_by_command},
    {"change-what-is-held", change_what_is_held},
    {"change-what-is-passed", change_what_is_passed},
    {"change-by-a-sibling", change_by_a_sibling},
    {"change-in-background", change_in_background},
    {"change-beside-a-worker", change_beside_a_worker},
    {NULL, NULL},
};
