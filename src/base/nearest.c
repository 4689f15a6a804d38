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

/* `rows`: distances of the first i, i - 1 and i - 2 letters of a, each from every beginning of b.
 */
static unsigned distance_at(unsigned rows[3][WORD_MAX], const char *a, const char *b, size_t i,
                            size_t j)
{
    unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];
    char x = lower(a[i - 1]), y = lower(b[j - 1]);
    unsigned least = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + (x != y));

    if (i > 1 && j > 1 && x == lower(b[j - 2]) && y == lower(a[i - 2]) && two_above[j - 2] < least)
        return two_above[j - 2] + (x != y);
    return least;
}

unsigned fo_edit_distance(const char *a, const char *b)
{
    unsigned rows[3][WORD_MAX];
    size_t la = strnlen(a, WORD_MAX - 1), lb = strnlen(b, WORD_MAX - 1);

    for (size_t j = 0; j <= lb; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= la; i++) {
        rows[i % 3][0] = (unsigned)i;
        for (size_t j = 1; j <= lb; j++)
            rows[i % 3][j] = distance_at(rows, a, b, i, j);
    }
    return rows[la % 3][lb];
}

/* The least distance that is too far: allowed are a third of the letters, one at least, and never
 * all. */
static unsigned distance_limit(const char *word)
{
    unsigned length = (unsigned)strlen(word), third = length / 3;
    unsigned most = third > 0 ? third : 1;

    return most < length ? most + 1 : length;
}

bool fo_nearest_choice(const char *word, const char *choices, char *out, size_t size)
{
    unsigned best = distance_limit(word);
    bool found = false;

    if (strlen(word) >= WORD_MAX) /* too long for a typing error */
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
