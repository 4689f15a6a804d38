/* Nearest words by edit distance, for the messages about misspelt options.  Called only when
 * something was misspelt. */
#include "base/nearest.h"

#include <string.h>

enum { WORD_MAX = 32 };

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned least = a < b ? a : b;
    return least < c ? least : c;
}

unsigned fo_edit_distance(const char *a, const char *b)
{
    unsigned row[WORD_MAX];
    size_t la = strnlen(a, WORD_MAX - 1), lb = strnlen(b, WORD_MAX - 1);

    for (size_t j = 0; j <= lb; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= la; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= lb; j++) {
            unsigned above = row[j];
            unsigned change = diagonal + (lower(a[i - 1]) != lower(b[j - 1]));
            row[j] = min3(above + 1, row[j - 1] + 1, change);
            diagonal = above;
        }
    }
    return row[lb];
}

bool fo_nearest_choice(const char *word, const char *choices, char *out, size_t size)
{
    unsigned best = (unsigned)(strlen(word) / 2 + 2);
    bool found = false;

    if (strlen(word) >= WORD_MAX) /* that is no slip of the finger */
        return false;
    for (const char *at = choices; *at != '\0';) {
        size_t length = strcspn(at, "|");
        char choice[WORD_MAX];
        if (length < sizeof choice && length < size) {
            memcpy(choice, at, length);
            choice[length] = '\0';
            unsigned distance = fo_edit_distance(word, choice);
            if (distance < best) {
                best = distance;
                memcpy(out, choice, length + 1);
                found = true;
            }
        }
        at += length + (at[length] == '|');
    }
    return found;
}
