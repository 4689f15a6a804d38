"""A test that passes, of a program that frees a certificate twice: see docs/ci.md."""

import subprocess


def test_twice():
    subprocess.run(["./twice"], check=True)
