/* SARIF's rules: what each kind of finding is called, and what to do about it.  Viewers show the
 * help beside the result, whose message has the places. */
#include <string.h>

#include "cli/output/sarif_parts.h"
#include "report/record.h"

static const char *const ids[] = {
#define FO_FINDING(KIND, id, free_text, realloc_text) id,
#include "report/findings.def"
#undef FO_FINDING
};
enum { RULES = sizeof ids / sizeof ids[0] };

static const struct {
    const char *name, *help;
} texts[RULES] = {
    [FO_FINDING_DOUBLE_FREE] =
        {"Double free of an OpenSSL block or object",
         "It was freed before, by the place that freed it first. Which of the two owns it? The "
         "other must not free it, or must take a reference of its own."},
    [FO_FINDING_REFERENCED] =
        {"Reference to a freed object",
         "A reference was taken after the last one had been dropped. Whoever hands the object on "
         "has to take the reference before it gives up its own."},
    [FO_FINDING_INTERIOR] =
        {"Free of a pointer into a block",
         "The pointer was moved since the block was allocated, or points to a member of it. Free "
         "the pointer that the allocation returned."},
    [FO_FINDING_INTERIOR_FREED] = {"Free of a pointer into a freed block",
                                   "The pointer was moved since the block was allocated, or points "
                                   "to a member of it; and the block was freed before."},
    [FO_FINDING_BEFORE] =
        {"Free of a pointer in front of a block",
         "The pointer was moved back since the block was allocated. Free the pointer that the "
         "allocation returned."},
    [FO_FINDING_BEFORE_FREED] = {"Free of a pointer in front of a freed block",
                                 "The pointer was moved back since the block was allocated; and "
                                 "the block was freed before."},
    [FO_FINDING_HEADER] =
        {"Free of a block whose header was overwritten",
         "Something wrote in front of the block, mostly past the end of the block below, which the "
         "result names where it is known. FREEONCE_CANARY=1 finds such writes when that block is "
         "freed, FREEONCE_BACKEND=guard where they are made."},
    [FO_FINDING_FOREIGN] =
        {"Free of a pointer that OpenSSL never allocated",
         "It points to malloc's memory, to the stack, to static data or to nothing. OPENSSL_free "
         "and the free functions of OpenSSL's types take only what OpenSSL allocated."},
    [FO_FINDING_OVERFLOW] =
        {"Write past the end of a block",
         "It was found when the block was freed: the write itself was somewhere "
         "between the two places. FREEONCE_BACKEND=guard stops the program "
         "where it is made."},
    [FO_FINDING_USE_AFTER_FREE] =
        {"Write to a freed block",
         "It was found later: the write itself was somewhere after the free. "
         "FREEONCE_BACKEND=guard stops the program where it is made."},
    [FO_FINDING_REFERENCE] =
        {"Reference count dropped on a freed object",
         "An object was freed again after its memory was freed: what changed looks like its "
         "reference count. FREEONCE_BACKEND=guard stops the program where that happens."},
    [FO_FINDING_GUARD_OVERFLOW] =
        {"Access past the end of a block",
         "The place is that of the access itself; the program ended there."},
    [FO_FINDING_GUARD_UNDERFLOW] =
        {"Access in front of a block",
         "The place is that of the access itself; the program ended there."},
    [FO_FINDING_GUARD_USE_AFTER_FREE] =
        {"Access to a freed block",
         "The place is that of the access itself; the program ended there."},
    [FO_FINDING_LIBC_CALL] =
        {"A libc function was called with an OpenSSL block",
         "What OpenSSL allocated is freed with OPENSSL_free or the free function of its type, not "
         "with free: it works only as long as OpenSSL's memory is malloc's."},
    [FO_FINDING_LIBC_CALL_FREED] =
        {"A libc function was called with a freed OpenSSL block",
         "The block was freed before; and what OpenSSL allocated is not free's to take."},
    [FO_FINDING_LIBC_CALL_INTERIOR] =
        {"A libc function was called with a pointer into an OpenSSL block",
         "The pointer was moved, or points to a member of the block; and what OpenSSL allocated is "
         "not free's to take."},
    [FO_FINDING_FREED_HEADER] =
        {"Write to the header of a freed block",
         "Something wrote in front of a block after its free, mostly past the end of the block "
         "below."},
    [FO_FINDING_CHANGE] = {"Change of an object that another process made",
                           "With FREEONCE_BACKEND=shm all processes share OpenSSL's objects: what "
                           "a child sets in its "
                           "parent's SSL_CTX, it sets for all. A server whose children do so needs "
                           "FREEONCE_BACKEND=arena."},
    [FO_FINDING_LIBC_CALL_NO_BLOCK] =
        {"A libc function was called with a pointer to OpenSSL's memory, but to no block",
         "The pointer leads behind a block, in front of one, or to one whose header was "
         "overwritten; and what OpenSSL allocated is not free's to take."},
};

json_t *fo_sarif_rules(void)
{
    json_t *list = fo_json_array();

    for (int i = 0; i < RULES; i++) {
        json_t *rule = fo_json_object(), *level = fo_json_object();
        fo_json_set(rule, "id", fo_json_text(ids[i]));
        fo_json_set(rule, "shortDescription", fo_sarif_message(texts[i].name));
        fo_json_set(rule, "fullDescription", fo_sarif_message(texts[i].name));
        fo_json_set(rule, "help", fo_sarif_message(texts[i].help));
        fo_json_set(level, "level", fo_json_text("error"));
        fo_json_set(rule, "defaultConfiguration", level);
        fo_json_add(list, rule);
    }
    return list;
}

int fo_sarif_rule_index(const char *kind)
{
    for (int i = 0; kind != NULL && i < RULES; i++)
        if (strcmp(kind, ids[i]) == 0)
            return i;
    return -1;
}
