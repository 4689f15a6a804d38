/* See source.h: what is the same for all kinds of sources. */
#include "cli/inspect/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "cli/model/clean.h"

enum { PIECE_COST = 128 }; /* bytes that are read in the time that a piece takes */

static bool take(struct fo_source *s, uint64_t cost)
{
    if (cost > s->left) {
        s->exhausted = true;
        s->left = 0;
        return false;
    }
    s->left -= cost;
    return true;
}

static bool is_range(uint64_t address, uint64_t size)
{
    return address < FO_ADDRESS_MASK && size <= FO_ADDRESS_MASK - address;
}

bool fo_source_read(struct fo_source *s, uint64_t address, void *out, size_t size)
{
    return is_range(address, size) && take(s, size + PIECE_COST) &&
           s->read(s, address, out, size) == size;
}

void fo_source_read_pieces(struct fo_source *s, const uint64_t *addresses, size_t count, void *out,
                           size_t size, bool *was_read)
{
    char *at = out;

    memset(was_read, 0, count * sizeof *was_read);
    for (size_t i = 0; i < count; i++) { /* each turn passes one that cannot be read */
        if (!take(s, (count - i) * PIECE_COST))
            return;
        size_t n = s->read_pieces(s, addresses + i, count - i, at + i * size, size);
        memset(was_read + i, true, n);
        s->left += (count - i - n) * PIECE_COST;
        i += n;
        if (i < count && !take(s, PIECE_COST))
            return;
    }
}

const struct fo_source_mapping *fo_source_mapping_at(const struct fo_source *s, uint64_t address)
{
    size_t low = 0, high = s->mapping_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct fo_source_mapping *m = &s->mappings[middle];
        if (address >= m->end)
            low = middle + 1;
        else if (address < m->start)
            high = middle;
        else
            return m;
    }
    return NULL;
}

bool fo_source_text(struct fo_source *s, uint64_t address, char *out, size_t size)
{
    const struct fo_source_mapping *m = fo_source_mapping_at(s, address);

    if (m == NULL || m->writable || m->shared || *m->file == '\0')
        return false;
    size_t length = m->end - address < size ? (size_t)(m->end - address) : size;
    if (!fo_source_read(s, address, out, length) || *out == '\0')
        return false;
    out[length - 1] = '\0';
    fo_clean(out, out);
    return true;
}

const char *fo_source_words(const struct fo_source *s)
{
    static char words[64];

    snprintf(words, sizeof words, "%sprocess %d (%s)", s->core != NULL ? "core of " : "",
             (int)s->pid, s->name);
    return words;
}

void fo_source_free(struct fo_source *s)
{
    const char *before = NULL;

    for (size_t i = 0; i < s->mapping_count; i++) { /* neighbours share the name of a file */
        const char *file = s->mappings[i].file;
        if (file == before || *file == '\0') /* before: it is freed by now */
            continue;
        before = file;
        free((char *)file);
    }
    if (s->close != NULL)
        s->close(s);
    free(s->mappings);
    s->mappings = NULL;
    s->mapping_count = 0;
}
