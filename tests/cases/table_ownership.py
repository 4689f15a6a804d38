"""Errors of ownership: each is reported with the defaults, and with the options of `freeonce --ci`, where
OpenSSL may crash on the pattern in freed memory first."""

import re

from model import MAIN, Case

CI = {
    "FREEONCE_QUARANTINE": "4M",
    "FREEONCE_FILL": "1",
    "FREEONCE_CANARY": "1",
    "FREEONCE_FAULTS": "1",
}
# The first finding: which function of OpenSSL makes it depends on the version.
FREED = (
    r"double free of \w+ 0x[0-9a-f]+ \(\d+ bytes\), skipped"
    r"|[A-Z]\w+ of freed \w+ 0x[0-9a-f]+ \(\d+ bytes\), let through"
    r"|reference to freed \w+ 0x[0-9a-f]+ \(\d+ bytes\), answered 0"
    r"|free of \w+ 0x5{16}, read from a freed block \(perhaps 0x[0-9a-f]+, \d+ bytes\), skipped"
    r"|SIG(SEGV|BUS|ILL|ABRT): block 0x[0-9a-f]+ \(\d+ bytes\) was used after free, the program ends"
    r"|(read|write|read of|write to) freed block 0x[0-9a-f]+ \(\d+ bytes\) at byte \d+, the program ends"
)
# Where OpenSSL calls its own X_free(), the library sees what that did to the freed block, when it leaves the quarantine.
LATE = (
    r"|(write to freed|reference count dropped on a freed object in) block 0x[0-9a-f]+ \(\d+ bytes\) at byte \d+, found when it left the quarantine"
)
# OpenSSL 3.2 allocates its locks without a file.
LOCK = r"\?(?=.*\n(    #.*\n)*  freed first  crypto/threads_pthread\.c:)"
# The same without the pattern: an X509's count becomes -1, OpenSSL frees nothing, and there is nothing to see.
UNSEEN = {"chain-certificate"}
# SSL_SESSION_free() wipes the block, and with it the record of the first free, in front of the second one.
WIPED = {"session-of-connection"}
# Seen in front of the call: what OpenSSL makes of freed memory, a crash or a mere failure, depends on the version.
SSL_READ = r"SSL_read of freed SSL 0x[0-9a-f]+ \(\d+ bytes\), let through"
DIGEST_UPDATE = r"EVP_DigestUpdate of freed EVP_MD_CTX 0x[0-9a-f]+ \(\d+ bytes\), let through"
FOREIGN = r"free of 0x[0-9a-f]+, which OpenSSL never allocated \(.*\), skipped"
END = r"free of 0x[0-9a-f]+, (at|\d+ bytes? behind) the end of block 0x[0-9a-f]+ \(\d+ bytes\), skipped"
KINDS = {
    "key-of-context": FREED,
    "verified-certificate": FREED,
    "chain-certificate": FREED,
    "stack-of-certificates": FREED,
    "data-of-bio": FOREIGN,
    "store-of-context": FREED,
    "bio-of-connection": FREED,
    "session-of-connection": FREED,
    "status-of-malloc": FOREIGN,
    "key-of-key": FREED,
    "end-of-block": END,
    "read-of-freed-connection": SSL_READ,
    "connection-of-freed-context": FREED,
    "update-of-freed-digest": DIGEST_UPDATE,
    "moved-by-i2d": END,
    "buffer-of-bio": FREED,
    "name-of-certificate": FREED,
    "serial-of-certificate": FREED,
    "number-of-pool": FREED,
    "numbers-of-key": FREED,
    "fetched-digest": FREED,
}
ENDS = (0, -11, -7, -6, -4)  # this depends on OpenSSL's version, too


def is_named(kind, wanted, ci):
    def check(outcome):
        symbolic = outcome.facts.get("calls") == "its own"
        # Before it there may be one line about an object that another process could have made.
        first = re.search(r"^freeonce: (?!SSL_new: )(.*)\n", outcome.errors, re.M)
        if first is None and symbolic and kind in UNSEEN and not ci:
            return f"its end: {outcome.status}" if outcome.status != 0 else None
        if first is None or not re.fullmatch(wanted + (LATE if symbolic and ci else ""), first[1]):
            return f"it is not named as {wanted}"
        label = "freed (first|again)" if symbolic and kind in WIPED else "freed first"
        places = rf"freeonce: .*\n  allocated    (\S+:\d+|{LOCK}).*\n(    #.*\n)*  {label}  "
        if wanted in (FREED, SSL_READ, DIGEST_UPDATE) and not re.match(places, outcome.errors[first.start() :]):
            return "allocation and first free are not named"
        if "at this moment" in outcome.errors:
            return "no other thread frees anything"
        if "SIG" in first[1] and not re.search(r"^  fault        by \S+\+0x[0-9a-f]+ ", outcome.errors, re.M):
            return "the function that died is not named"
        if outcome.status != 0 and "the program ends" not in outcome.errors:
            return f"nothing was said of its end by signal {-outcome.status}"
        return None

    return check


# Without --ci on arena alone: on libc, a freed block is sometimes used again before the handshake ends.
CASES = [
    Case(f"ownership-{kind}{suffix}", f"faults {kind}", backends=backends, env=env, status=ENDS, check=is_named(kind, wanted, suffix != ""))
    for suffix, env, backends in (("", {}, ("arena",)), ("-ci", CI, MAIN))
    for kind, wanted in KINDS.items()
]
