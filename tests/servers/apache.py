"""Does Apache (prefork) work with the library preloaded: mutual TLS, graceful restart and stop?

Apache opens libcrypto with dlopen through mod_ssl, which allocates with OPENSSL_malloc itself, and
which a restart unloads and loads again: file names of allocation sites then dangle.
"""

import harness

MODULES = "/usr/lib/apache2/modules"

CONFIGURATION = """
ServerRoot {dir}
DefaultRuntimeDir {dir}
PidFile {dir}/apache.pid
ErrorLog {dir}/error.log
ServerName localhost
Listen 127.0.0.1:{port}
LoadModule mpm_prefork_module {modules}/mod_mpm_prefork.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule dir_module {modules}/mod_dir.so
LoadModule ssl_module {modules}/mod_ssl.so
User www-data
Group www-data
StartServers 4
MaxRequestWorkers 64
DocumentRoot {dir}/www
DirectoryIndex index.html
SSLEngine on
SSLCertificateFile {certs}/server.pem
SSLCertificateKeyFile {certs}/server.key
SSLCACertificateFile {certs}/ca.pem
SSLVerifyClient require
SSLSessionCache none
"""


def start(stage, **settings):
    port = stage.port()
    folder = stage.folder(f"apache-{port}")
    text = CONFIGURATION.format(dir=folder, certs=stage.certs, port=port, modules=MODULES)
    config = stage.file(f"{folder.name}/httpd.conf", text)
    stage.file(f"{folder.name}/www/index.html", "hello\n")
    argv = [harness.need("apache2"), "-f", config]
    log = folder / "error.log"
    server = stage.start("apache2", [*argv, "-DFOREGROUND"], port, log=log, **settings)
    return server, port, argv


def test_load_line(stage):
    server, port, _ = start(stage, verbose=True)
    stage.check_served("first clients", stage.result_of(stage.load(port, 20, "http")))
    stage.check("exit status of apache2", 0, stage.stop(server))
    stage.check_in_first()
    harness.step("the library is in first")


def test(stage, _):
    test_load_line(stage)
    server, port, argv = start(stage)
    stage.check_refused(port, "http")
    stage.check_served("mutual TLS", stage.result_of(stage.load(port, 400, "http", "mixed")))
    harness.step("mutual TLS: clients with a certificate are served, others are refused")

    def reload():
        before = server.children()
        status, text = stage.run("apache-graceful", [*argv, "-k", "graceful"])
        stage.check("exit status of apache2 -k graceful", 0, f"{status}: {text}", status == 0)
        stage.wait_for_new_workers(server, before)

    load = stage.load(port, 1500, "http", "mixed")
    during = stage.reload_under_traffic(load, reload)
    stage.check_served("traffic while apache2 reloads", stage.result_of(load))
    harness.step(f"{during} graceful restarts under traffic, no client lost")

    load = stage.load(port, 40, "http", "good", "--hold", 8)
    stage.check_served("traffic after the restarts", stage.result_of(load))
    stage.check("exit status of apache2", 0, stage.stop(server))
    stage.check_no_crash(server)
    stage.check_silent()
    harness.step("a stop with connections open, in silence")


if __name__ == "__main__":
    harness.main(test, __doc__)
