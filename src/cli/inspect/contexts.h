/* Which SSL_CTX are in use by no SSL?  After a reload the old one should be, until its last
 * connection has ended, and then be gone. */
#ifndef FO_CLI_INSPECT_CONTEXTS_H
#define FO_CLI_INSPECT_CONTEXTS_H

#include "cli/inspect/blocks.h"

struct fo_contexts {
    uint64_t count, unused; /* of SSL_CTX; of those, no SSL has the address of so many */
    bool known;             /* false: there are none, or not every SSL could be read */
    struct fo_context_list {
        struct fo_context_block {
            uint64_t payload, size;
        } * list; /* malloc(3) */
        size_t used, room;
    } contexts, users;
};

/* A live block.  What is no SSL_CTX, and no SSL or part of QUIC, is not looked at. */
void fo_contexts_add(struct fo_contexts *c, const struct fo_block_seen *block, bool is_context);

/* Then: every word in an SSL is compared with the addresses of the SSL_CTX.  A word can be left
 * over from before, so that an unused one counts as used; a used one never counts as unused. */
void fo_contexts_find(struct fo_contexts *c, struct fo_source *s);
void fo_contexts_free(struct fo_contexts *c);

#endif
