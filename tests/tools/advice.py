"""The last line of every report says what to do.  Tests of what was found leave it out, and see a
report that has none."""

import re

REPORT = re.compile(
    r"^freeonce: .*\n"
    r"((?:  (?:allocated|freed|overwritten|realloc|referenced|called|accessed|fault)\b.*\n|    #.*\n)+)"
    r"(  what to do +\S.*\n)?",
    re.M,
)


def without_advice(text):
    def shortened(report):
        if report[2] is None:
            return report[0] + "  (no advice)\n"
        return report[0][: report.start(2) - report.start(0)]

    return REPORT.sub(shortened, text)
