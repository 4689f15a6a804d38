"""Is debug information fetched from the server that DEBUGINFOD_URLS names, and from none without it?
usage: debuginfod.py RESOLVE STRIPPED DEBUG SOURCE   (programs of resolve.c and program.c)"""
import ctypes
import http.server
import os
import subprocess
import sys
import tempfile
import threading
import unittest

RESOLVE, STRIPPED, DEBUG, SOURCE = sys.argv[1:5]
BUILD_ID = '0123456789abcdef0123456789abcdef0123f0e1'


class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        if self.path != f'/buildid/{BUILD_ID}/debuginfo':
            self.send_error(404)
            return
        with open(DEBUG, 'rb') as file:
            text = file.read()
        self.send_response(200)
        self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


class Debuginfod(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix='freeonce-debuginfod-')
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Server)
        self.server.asked = []
        self.addCleanup(self.server.server_close)
        thread = threading.Thread(target=self.server.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.server.shutdown)
        first = subprocess.run([STRIPPED], capture_output=True, text=True, check=True, timeout=300).stdout
        self.function, self.address, self.line = first.split('\n')[0].split()

    def resolve(self, urls):
        environment = {'PATH': os.environ['PATH'], 'HOME': self.folder, 'DEBUGINFOD_CACHE_PATH': self.folder,
                       'no_proxy': '127.0.0.1', **({} if urls is None else {'DEBUGINFOD_URLS': urls})}
        return subprocess.run([RESOLVE, STRIPPED, BUILD_ID, self.address], env=environment, timeout=300,
                              capture_output=True, text=True, check=True).stdout.split()

    def test_the_configured_server_is_asked(self):
        found = self.resolve(f'http://127.0.0.1:{self.server.server_address[1]}')
        self.assertEqual(found, [self.function, SOURCE, self.line])
        self.assertEqual(self.server.asked, [f'/buildid/{BUILD_ID}/debuginfo'])

    def test_without_one_nobody_is(self):
        for urls in (None, ''):
            self.assertEqual(self.resolve(urls), ['-', '-', '0'])
        self.assertEqual(self.server.asked, [])


if __name__ == '__main__':
    try:
        ctypes.CDLL('libdebuginfod.so.1')
    except OSError:
        print('skipped: there is no libdebuginfod.so.1')
        sys.exit(77)
    unittest.main(argv=sys.argv[:1], verbosity=2)
