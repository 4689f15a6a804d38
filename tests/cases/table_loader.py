"""The library registers before the first allocation, however OpenSSL is loaded; it changes nothing else."""

from model import ANY, Case
from table_options import ENDED, REQUIRE, VERBOSE, told

WORDS = {"FREEONCE_VERBOSE": "1", "FREEONCE_VERBOS": "1", "FREEONCE_BACKEND": "hots"}


def double(file, who="pid {pid} ({program})"):
    return f"""
double free of block {{block}} (40 bytes), skipped
  allocated    {file}:1  {who}
  freed first  {file}:2  {who}
  freed again  {file}:3  {who}
"""


TOO_LATE = (
    "{openssl} (%s) had allocated before freeonce could get in; this process runs unprotected."
    " Start it with LD_PRELOAD=libfreeonce.so\n"
)

BY_ENGINE = (
    "{openssl} (loaded by dlopen) has the memory functions of the program's own OpenSSL, from the"
    " engine libcases-engine.so; its blocks are not guarded\n"
)
DOUBLE_EARLY = """
double free of block {block} (40 bytes), skipped
  allocated    engine.c:1  {main}
  freed first  engine.c:5  {main}
  freed again  engine.c:5  {main}
"""


def engine(backend, how, after="", status=0, **env):
    """A program with a static OpenSSL loads an engine with the shared one."""
    if how.split("-")[0] in ("freed", "moved"):
        env["CASE_EARLY"] = "1"
    return Case(
        f"engine-in-a-static-program-{how}-{backend}",
        f"engine_host {{programs}}/libcases-engine.so {how}",
        BY_ENGINE + after,
        ANY,
        {"FREEONCE_BACKEND": backend, **env},
        status,
        same_without=status == 0 and not after,
        optional=True,
    )


HOW = ("blocks", "pool", "freed-here", "moved-here", "freed-there", "moved-there")

ONLY_1_1 = (
    "this process uses OpenSSL 1.1, which the library does not guard (OpenSSL 3 and 4 only)\n" + ENDED
)

WRAPPED_SSL = (
    "SSL_CTX_new SSL_CTX_up_ref SSL_CTX_set_options SSL_CTX_ctrl SSL_new SSL_free SSL_CTX_free"
    " X509_STORE_set_flags X509_STORE_free EVP_PKEY_free EVP_RAND_CTX_new EVP_RAND_CTX_free"
    " BN_BLINDING_lock CRYPTO_malloc CRYPTO_realloc CRYPTO_free CRYPTO_zalloc OPENSSL_cleanup"
).split()
WRAPPED_LIBC = (
    "malloc_usable_size realloc reallocarray free pthread_rwlock_init pthread_rwlock_rdlock"
    " pthread_rwlock_trywrlock pthread_rwlock_unlock pthread_rwlock_destroy pthread_mutex_init"
    " pthread_cond_init pthread_self getpid getenv secure_getenv __cxa_atexit execve execvp fork"
).split()


def wrapped(order, run, how, names, **env):
    """Each call reaches a wrapper of OpenSSL's and libc's functions once, as without the library."""
    wrapper = "{programs}/libcases-wrapper%s.so" % how
    preload = {"alone": wrapper, "first": f"{wrapper} {{lib}}", "behind": f"{{lib}} {wrapper}"}
    return Case(
        "-".join(filter(None, ("wrapper", order, *env.values(), run.split()[0]))) + how,
        run,
        backends=ANY,
        env={"LD_PRELOAD": preload[order], **env},
        facts=dict.fromkeys(names, "1"),
        preload=False,
    )


def wrappers():
    """A library that the program opens itself is not found with RTLD_NEXT."""
    opened = "dlopener module {programs}/libcases-wrapped.so"
    for order in ("alone", "first", "behind"):
        for env in ({}, {"FREEONCE_BACKEND": "shm"}):
            if order == "alone" and env:
                continue
            yield wrapped(order, "wrapped", "", WRAPPED_SSL + WRAPPED_LIBC, **env)
            yield wrapped(order, "wrapped", "-by-handle", WRAPPED_SSL, **env)
            yield wrapped(order, opened, "-by-handle", WRAPPED_SSL, **env)


CASES = [
    *wrappers(),
    *(engine(backend, how) for backend in ("arena", "libc", "shm", "guard") for how in HOW),
    *(engine("host", how) for how in ("blocks", "pool")),
    engine("arena", "freed-twice", DOUBLE_EARLY),
    engine("libc", "freed-twice", DOUBLE_EARLY),
    engine("auto", "required", ENDED, 78, FREEONCE_REQUIRE="1"),
    Case("linked", "faults tell-version", told(), ANY, VERBOSE),
    Case(
        "dlopen",
        "dlopener {crypto}",
        told("loaded by dlopen") + double("dlopener.c"),
        ANY,
        VERBOSE,
    ),
    Case(
        "dlopen-of-a-module-that-registers",
        "dlopener module {programs}/libcases-registrar.so",
        told("loaded by dlopen", backend="host") + double("registrar.c"),
        ANY,
        VERBOSE,
        facts={"answer": "1", "served": "by the module"},
    ),
    Case(
        "constructor-of-a-library",
        "early",
        told() + double("early.c"),
        ANY,
        VERBOSE,
    ),
    Case(
        "exported-by-the-executable",
        "exported",
        told("in the executable") + double("exported.c"),
        ANY,
        VERBOSE,
        optional=True,
    ),
    Case(
        "bound-deeply-and-shared",
        "dlopener {crypto} deep",
        "the cure exit does not reach the OpenSSL found by dlsym, whose memory is shared: a process"
        " that exits frees what other processes still use\n"
        "the cure locks does not reach the OpenSSL found by dlsym, whose memory is shared: a thread"
        " that waits for a lock of another process sleeps for ever\n"
        "the cure identity does not reach the OpenSSL found by dlsym, whose memory is shared: RSA"
        " keys that several processes use make wrong signatures\n",
        ANY,
        {"FREEONCE_BACKEND": "shm"},
    ),
    # OpenSSL's calls of pthread_self() cannot be told from those of the program.
    Case(
        "exported-by-the-executable-shared",
        "exported healthy",
        told("in the executable", "shm", "shared", BACKEND="shm")
        + "the cure identity does not reach the OpenSSL in the executable, whose memory is shared:"
        " RSA keys that several processes use make wrong signatures\n",
        ANY,
        {**VERBOSE, "FREEONCE_BACKEND": "shm"},
        optional=True,
    ),
    Case(
        "exported-by-the-executable-shared-not-wanted",
        "exported healthy",
        backends=ANY,
        env={"FREEONCE_BACKEND": "shm", "FREEONCE_CURES": "state,exit,locks"},
        optional=True,
    ),
    Case(
        "exported-in-part",
        "exported_partly",
        told("in the executable") + double("exported_partly.c", "{main}"),
        ANY,
        VERBOSE,
        facts={"digest": "1"},
        optional=True,
    ),
    Case(
        "exported-in-part-healthy",
        "exported_partly healthy",
        backends=ANY,
        facts={"digest": "1"},
        optional=True,
    ),
    Case("exported-by-the-executable-healthy", "exported healthy", "", ANY, optional=True),
    Case(
        "too-late",
        "dlopener {crypto} late {lib}",
        TOO_LATE % "linked",
        ANY,
        preload=False,
    ),
    Case(
        "too-late-required",
        "dlopener {crypto} late {lib}",
        TOO_LATE % "linked" + ENDED,
        ANY,
        REQUIRE,
        status=78,
        preload=False,
    ),
    Case(
        "beside-openssl-1.1",
        "beside-crypto-1.1",
        double("beside.c"),
        ANY,
        facts={"other": "its own"},
    ),
    Case(
        "beside-openssl-1.1-required",
        "beside-crypto-1.1",
        double("beside.c"),
        ANY,
        REQUIRE,
        facts={"other": "its own"},
    ),
    Case(
        "alone-openssl-1.1",
        "alone-crypto-1.1",
        "",
        ANY,
        WORDS,
        facts={"other": "its own"},
        same_without=True,
    ),
    Case("alone-openssl-1.1-required", "alone-crypto-1.1", ONLY_1_1, ANY, REQUIRE, status=78),
    Case(
        "dlopen-of-openssl-1.1-required",
        "dlopener {programs}/libcrypto.so.1.1",
        ONLY_1_1,
        ANY,
        REQUIRE,
        status=78,
    ),
    Case(
        "beside-unversioned",
        "beside-crypto-unversioned",
        "",
        ANY,
        WORDS,
        facts={"other": "its own"},
        same_without=True,
    ),
    *(
        Case(
            f"both-opened-{other}",
            f"two {{programs}}/libcases-two.so {{programs}}/libcrypto-{other}-user.so",
            "",
            ANY,
            facts={"other": "its own", "openssl": "its own"},
            same_without=True,
        )
        for other in ("1.1", "unversioned")
    ),
    Case("without-openssl", "plain word", "", ANY, same_without=True),
    Case("without-openssl-silent", "plain word", "", ANY, {**WORDS, **REQUIRE}, same_without=True),
]
