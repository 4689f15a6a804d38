/* See contexts.h. */
#include "cli/inspect/contexts.h"

#include <stdlib.h>
#include <string.h>

#include "cli/exit.h"
#include "cli/message.h"

enum { MOST = 1 << 18, SIZE_MOST = 64 << 10 };

static void *need(void *memory)
{
    if (memory == NULL) {
        fo_error("no memory to compare each SSL with the SSL_CTX");
        exit(FO_EXIT_SOFTWARE);
    }
    return memory;
}

void fo_contexts_add(struct fo_contexts *c, const struct fo_block_seen *block, bool is_context)
{
    struct fo_context_list *l = is_context ? &c->contexts : &c->users;

    if (l->used == MOST)
        return;
    if (l->used == l->room) {
        l->room = l->room != 0 ? l->room * 2 : 64;
        l->list = need(reallocarray(l->list, l->room, sizeof *l->list));
    }
    l->list[l->used++] = (struct fo_context_block){block->payload, block->size};
}

static int by_payload(const void *left, const void *right)
{
    const struct fo_context_block *a = left, *b = right;

    return (a->payload > b->payload) - (a->payload < b->payload);
}

static void mark_used(struct fo_contexts *c, uint64_t word)
{
    const struct fo_context_block key = {word, 0};
    struct fo_context_block *found =
        bsearch(&key, c->contexts.list, c->contexts.used, sizeof key, by_payload);

    if (found != NULL)
        found->size = 0; /* it is in use */
}

/* False: it is not there any more, or no block of OpenSSL's. */
static bool scan(struct fo_contexts *c, struct fo_source *s, const struct fo_context_block *user,
                 uint64_t *words)
{
    size_t size = user->size & ~UINT64_C(7);

    if (user->size > SIZE_MOST || !fo_source_read(s, user->payload, words, size))
        return false;
    for (size_t i = 0; i < size / sizeof *words; i++)
        mark_used(c, words[i]);
    return true;
}

void fo_contexts_find(struct fo_contexts *c, struct fo_source *s)
{
    uint64_t *words = need(malloc(SIZE_MOST));
    bool all = c->contexts.used < MOST && c->users.used < MOST;

    c->count = c->contexts.used;
    if (c->count != 0)
        qsort(c->contexts.list, c->count, sizeof *c->contexts.list, by_payload);
    for (size_t i = 0; i < c->users.used && c->count != 0; i++)
        all &= scan(c, s, &c->users.list[i], words);
    for (size_t i = 0; i < c->count; i++)
        c->unused += c->contexts.list[i].size != 0;
    c->known = all && c->count != 0;
    explicit_bzero(words, SIZE_MOST); /* an SSL holds keys */
    free(words);
}

void fo_contexts_free(struct fo_contexts *c)
{
    free(c->contexts.list);
    free(c->users.list);
}
