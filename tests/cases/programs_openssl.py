"""Which OpenSSL do the programs of the cases have?"""

import functools
import re
import subprocess


@functools.lru_cache
def openssl_version():
    """Such as (3, 0).  Python's own OpenSSL may be another one."""
    text = subprocess.run(["openssl", "version"], capture_output=True, text=True, check=False).stdout
    numbers = re.match(r"OpenSSL (\d+)\.(\d+)", text)
    return tuple(map(int, numbers.groups())) if numbers else (3, 0)
