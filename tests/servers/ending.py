"""What do children of scripts do to their parent's objects by ending?  On backend shm, in Perl, Python, Ruby and PHP.

Each server makes its context once.  It forks for each of its first clients: the child uses the inherited context, serves
the client and ends, with all destructors of its language.  After that the parent serves the clients itself, and must
treat good and bad ones as without the library: nobody is served without a certificate of the right authority.
"""

import re

import harness

BY_CHILDREN = 20  # clients; the parent serves those after them
CLIENTS = 200  # of the parent's: 100 good, 100 bad
ADVICE = "refused; a server that does so needs FREEONCE_BACKEND=arena"

PERL = """
use strict;
use warnings;
use IO::Socket::SSL;

my $server = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => {port}, Listen => 128, ReuseAddr => 1)
    or die "cannot listen";
my $context = IO::Socket::SSL::SSL_Context->new(
    SSL_server => 1, SSL_cert_file => "{certs}/server.pem", SSL_key_file => "{certs}/server.key",
    SSL_ca_file => "{certs}/ca.pem", SSL_verify_mode => SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
) or die "no context";
$SIG{{PIPE}} = "IGNORE";
$SIG{{TERM}} = sub {{ exit 0 }};

sub serve {{
    my $plain = shift;
    local $SIG{{ALRM}} = sub {{ die "too slow" }};
    eval {{
        alarm 10;
        my $client = IO::Socket::SSL->start_SSL($plain, SSL_server => 1, SSL_reuse_ctx => $context) or die "refused";
        my $line = <$client>;
        print $client $line if defined $line;
        $client->close;
    }};
    alarm 0;
}}

for (my $count = 0;; $count++) {{
    my $plain = $server->accept or next;
    if ($count >= {by_children}) {{
        serve($plain);
        next;
    }}
    my $child = fork // die "cannot fork";
    if ($child == 0) {{
        $SIG{{TERM}} = "DEFAULT";
        serve($plain);
        exit 0;
    }}
    close $plain;
    waitpid $child, 0;
    print "child ended with $?\\n" if $?;
}}
"""

PYTHON = """
import os, signal, socket, ssl, sys

context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile="{certs}/ca.pem")
context.load_cert_chain("{certs}/server.pem", "{certs}/server.key")
context.verify_mode = ssl.CERT_REQUIRED
context.set_alpn_protocols(["echo"])
context.sni_callback = lambda *_: None
listener = socket.create_server(("127.0.0.1", {port}), backlog=128)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

def serve(plain):
    plain.settimeout(10)
    try:
        with context.wrap_socket(plain, server_side=True) as client:
            client.sendall(client.recv(4096))
    except OSError:
        pass

count = 0
while True:
    plain, _ = listener.accept()
    count += 1
    if count > {by_children}:
        serve(plain)
        continue
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        serve(plain)
        del context
        sys.exit(0)
    plain.close()
    status = os.waitpid(child, 0)[1]
    if status != 0:
        print("child ended with", status, flush=True)
"""

RUBY = """
require "openssl"
require "socket"
require "timeout"

$context = OpenSSL::SSL::SSLContext.new
$context.cert = OpenSSL::X509::Certificate.new(File.read("{certs}/server.pem"))
$context.key = OpenSSL::PKey.read(File.read("{certs}/server.key"))
$context.ca_file = "{certs}/ca.pem"
$context.verify_mode = OpenSSL::SSL::VERIFY_PEER | OpenSSL::SSL::VERIFY_FAIL_IF_NO_PEER_CERT
$context.setup
server = TCPServer.new("127.0.0.1", {port})
server.listen(128)
Signal.trap("TERM") {{ exit 0 }}

def serve(plain)
  Timeout.timeout(10) do
    client = OpenSSL::SSL::SSLSocket.new(plain, $context)
    client.sync_close = true
    client.accept
    line = client.gets
    client.write(line) if line
    client.close
  end
rescue StandardError
  plain.close unless plain.closed?
end

count = 0
loop do
  plain = server.accept
  count += 1
  if count > {by_children}
    serve(plain)
    next
  end
  child = fork do
    Signal.trap("TERM", "DEFAULT")
    serve(plain)
    $context = nil
    GC.start
  end
  plain.close
  Process.wait(child)
  puts "child ended with #{{$?}}" unless $?.success?
end
"""

# PHP makes a context for each connection.  The children inherit that of the first one, whose client is gone: a child that
# ends shuts down every connection that it inherited, without the library, too.
PHP = """<?php
pcntl_async_signals(true);
pcntl_signal(SIGTERM, function () {{ exit(0); }});
$options = ["local_cert" => "{certs}/server.pem", "local_pk" => "{certs}/server.key", "cafile" => "{certs}/ca.pem",
    "verify_peer" => true, "verify_peer_name" => false, "capture_peer_cert" => true];
$server = stream_socket_server("tcp://127.0.0.1:{port}", $number, $text, STREAM_SERVER_BIND | STREAM_SERVER_LISTEN,
    stream_context_create(["socket" => ["backlog" => 128], "ssl" => $options]));

function serve($client) {{
    stream_set_timeout($client, 10);
    if (!@stream_socket_enable_crypto($client, true, STREAM_CRYPTO_METHOD_TLS_SERVER))
        return false;
    $line = fgets($client);
    return $line !== false && fwrite($client, $line) !== false;
}}

$kept = null;
for ($count = 0;;) {{
    $client = @stream_socket_accept($server, 3600);
    if (!$client)
        continue;
    if ($kept === null || $count >= {by_children}) {{
        $served = serve($client);
        if ($kept === null && $served)
            $kept = $client;
        else
            fclose($client);
        continue;
    }}
    $count++;
    $child = pcntl_fork();
    if ($child == 0) {{
        serve($client);
        exit(0);
    }}
    pcntl_waitpid($child, $status);
    fclose($client);
    if ($status != 0)
        echo "child ended with $status\\n";
}}
"""

LANGUAGES = {
    "perl": ("perl", ["-MIO::Socket::SSL", "-e", "1"], PERL),
    "python": ("/usr/bin/python3", ["-c", "import ssl"], PYTHON),
    "ruby": ("ruby", ["-ropenssl", "-e", "1"], RUBY),
    "php": ("php", ["-r", 'exit(function_exists("pcntl_fork") && extension_loaded("openssl") ? 0 : 1);'], PHP),
}
CHANGES = {"perl": {"SSL_CTX_set_verify"}}  # what a child's end does to its parent's context


def check_findings(stage, language):
    """What the children tried to change, and nothing else; each once, and named with both processes."""
    text = stage.log.read_text() if stage.log.exists() else ""
    found = re.findall(r"^freeonce: (\w+) of SSL_CTX 0x[0-9a-f]+ \(\d+ bytes\), which another process made, (.*)$", text, re.M)
    stage.check("functions that were refused", CHANGES.get(language, set()), {name for name, _ in found})
    stage.check("what the finding says", set(), {answer for _, answer in found} - {ADVICE})
    others = [line for line in text.splitlines() if line.startswith("freeonce: ") and "another process made" not in line]
    counts = re.compile(r"freeonce: seen \d+ times in all processes:|freeonce: findings of other processes were seen ")
    stage.check("other findings", [], [line for line in others if not counts.match(line)])


def try_language(stage, language):
    program, condition, script = LANGUAGES[language]
    path = harness.need(program)
    if stage.run(f"{language}-condition", [path, *condition], preload=False)[0] != 0:
        raise harness.Skipped(f"{program} lacks what the test needs")
    port = stage.port()
    source = stage.dir / f"{language}.script"
    source.write_text(script.format(port=port, certs=stage.certs, by_children=BY_CHILDREN))
    server = stage.start(language, [path, source], port)
    stage.check_served("clients of children", stage.result_of(stage.load(port, 2 * BY_CHILDREN, "echo", "mixed")))
    stage.check_refused(port, "echo")
    stage.check_served("clients of the parent", stage.result_of(stage.load(port, CLIENTS, "echo", "mixed")))
    stage.check(f"{language} still runs", True, server.running())
    stage.check(f"exit status of {language}", 0, stage.stop(server))
    stage.check_no_crash(server)
    stage.check("children that ended badly", [], [line for line in server.text().splitlines() if "child ended" in line])
    if stage.backend == "shm":
        check_findings(stage, language)
    else:
        stage.check_silent()
    harness.step(f"{language}: after {BY_CHILDREN} children that ended, the parent serves good clients and no others")


def test(stage, arguments):
    try_language(stage, arguments.language)


def add_options(parser):
    parser.add_argument("--language", choices=LANGUAGES, required=True)


if __name__ == "__main__":
    harness.main(test, __doc__, add_options)
