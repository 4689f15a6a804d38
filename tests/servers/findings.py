"""What has the library reported?  Reads the text reports of freeonce from its log."""

import collections
import pathlib
import re

Site = collections.namedtuple("Site", "place pid program")
Finding = collections.namedtuple("Finding", "headline sites")

HEADLINE = re.compile(r"^freeonce: (?:double free|free|realloc|libc \w+) of .+")
# "  freed again  ssl/ssl_lib.c:3457   pid 4131 (nginx), forked from 4120"
SITE = re.compile(
    r"^  (allocated|freed first|freed again|freed now|realloc|called)\s+(\S.*?)\s+pid (\d+) \((.*?)\)"
)
SOURCE = re.compile(r"^\S+\.[ch]:\d+$")


def read(log):
    """The text of the log, empty if there is none."""
    path = pathlib.Path(log)
    return path.read_text(errors="replace") if path.exists() else ""


def parse(text):
    """The findings in a log, each with the sites that could be named."""
    found = []
    for line in text.splitlines():
        site = SITE.match(line)
        if HEADLINE.match(line):
            found.append(Finding(line, {}))
        elif site and found:
            role, place, pid, program = site.groups()
            found[-1].sites[role] = Site(place, int(pid), program)
    return found


def is_complete(finding):
    """Are the three places there, as source lines of OpenSSL, each with its pid?"""
    roles = ("allocated", "freed first", "freed again")
    return all(role in finding.sites and SOURCE.match(finding.sites[role].place) for role in roles)


def is_by_two_processes(finding):
    first, again = finding.sites.get("freed first"), finding.sites.get("freed again")
    return first is not None and again is not None and first.pid != again.pid
