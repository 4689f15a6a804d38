"""Does nginx work with the library preloaded: mutual TLS, reload and stop, in silence?

nginx links libcrypto, and its workers are forked by a master that reloads them under traffic.
"""

import signal

import harness

CONFIGURATION = """
daemon off;
worker_processes 2;
pid {dir}/nginx.pid;
error_log stderr info;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {certs}/server.pem;
        ssl_certificate_key {certs}/server.key;
        ssl_client_certificate {certs}/ca.pem;
        ssl_verify_client on;
        location / {{ return 200 "hello\\n"; }}
    }}
}}
"""


def start(stage, **settings):
    port = stage.port()
    folder = stage.folder(f"nginx-{port}")
    text = CONFIGURATION.format(dir=folder, certs=stage.certs, port=port)
    config = stage.file(f"{folder.name}/nginx.conf", text)
    argv = [harness.need("nginx"), "-p", folder, "-e", "stderr", "-c", config]
    return stage.start("nginx", argv, port, **settings), port, argv


def test_load_line(stage):
    server, port, _ = start(stage, verbose=True)
    stage.check_served("first clients", stage.result_of(stage.load(port, 20, "http")))
    stage.check("exit status of nginx", 0, stage.stop(server, signal.SIGQUIT))
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
        status, text = stage.run("nginx-reload", [*argv, "-s", "reload"])
        stage.check("exit status of nginx -s reload", 0, f"{status}: {text}", status == 0)
        stage.wait_for_new_workers(server, before)

    load = stage.load(port, 1500, "http", "mixed")
    during = stage.reload_under_traffic(load, reload)
    stage.check_served("traffic while nginx reloads", stage.result_of(load))
    harness.step(f"{during} reloads under traffic, no client lost")

    load = stage.load(port, 40, "http", "good", "--hold", 8)
    stage.check_served("traffic after the reloads", stage.result_of(load))
    stage.check("exit status of nginx", 0, stage.stop(server))
    stage.check_no_crash(server)
    stage.check_silent()
    harness.step("a stop with connections open, in silence")


if __name__ == "__main__":
    harness.main(test, __doc__)
