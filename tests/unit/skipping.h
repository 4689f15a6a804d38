/* For tests that cannot run on this machine: cmocka does not print the reason, which scripts/check
 * repeats at its end. */
#ifndef FO_TESTS_SKIPPING_H
#define FO_TESTS_SKIPPING_H

#define SKIP_BECAUSE(reason)                                                                       \
    do {                                                                                           \
        print_message("skipped: %s\n", reason);                                                    \
        skip();                                                                                    \
    } while (0)

#endif
