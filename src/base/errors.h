/* What an error number means, in words for a message. */
#ifndef FO_BASE_ERRORS_H
#define FO_BASE_ERRORS_H

/* The words of strerror(3) in the C locale; "unknown error" for numbers that no call of the
 * library returns.  Async-signal-safe, unlike strerror(3) and, before glibc 2.32, everything that
 * could take its place. */
const char *fo_error_words(int error);

#endif
