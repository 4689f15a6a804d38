"""Rwlocks in OpenSSL's memory behave as glibc's, on every backend."""

from model import Case

BACKENDS = ("arena", "libc", "shm", "shared", "guard")


def rwlock(name, **more):
    return Case(f"rwlock-{name}", f"faults rwlock-{name}", backends=BACKENDS, **more)


CASES = [
    rwlock("left-by-thread"),
    rwlock("handed-over-and-written"),
    rwlock("handed-over-often"),
    rwlock("many-locks"),
    rwlock("counted"),
    rwlock("reborn"),
    rwlock("many-threads"),
    rwlock("readers-turn"),
    rwlock("waits-asleep"),
    rwlock("in-a-sandbox"),
    rwlock("answers", same_without=True),
]
