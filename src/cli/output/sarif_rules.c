/* SARIF's rules: the name of each kind of finding, and what to do about it.  Viewers show this help
 * beside the result, whose message has the places. */
#include <string.h>

#include "cli/output/sarif_parts.h"
#include "report/advice.h"
#include "report/record.h"

static const char *const ids[] = {
#define FO_FINDING(KIND, id, free_text, realloc_text) id,
#include "report/findings.def"
#undef FO_FINDING
};
enum { RULES = sizeof ids / sizeof ids[0] };

static const char *const names[RULES] = {
    [FO_FINDING_DOUBLE_FREE] = "Double free of an OpenSSL block or object",
    [FO_FINDING_FORGOTTEN] = "Double free whose first free is no longer known",
    [FO_FINDING_REFERENCED] = "Reference to a freed object",
    [FO_FINDING_USED] = "Use of a freed object",
    [FO_FINDING_INTERIOR] = "Free of a pointer into a block",
    [FO_FINDING_INTERIOR_FREED] = "Free of a pointer into a freed block",
    [FO_FINDING_BEFORE] = "Free of a pointer in front of a block",
    [FO_FINDING_BEFORE_FREED] = "Free of a pointer in front of a freed block",
    [FO_FINDING_HEADER] = "Free of a block whose header was overwritten",
    [FO_FINDING_FOREIGN] = "Free of a pointer that OpenSSL never allocated",
    [FO_FINDING_OVERFLOW] = "Write past the end of a block",
    [FO_FINDING_USE_AFTER_FREE] = "Write to a freed block",
    [FO_FINDING_PATTERN] = "Free of a pointer that was read from a freed block",
    [FO_FINDING_REFERENCE] = "Reference count dropped on a freed object",
    [FO_FINDING_GUARD_OVERFLOW] = "Access past the end of a block",
    [FO_FINDING_GUARD_UNDERFLOW] = "Access in front of a block",
    [FO_FINDING_GUARD_USE_AFTER_FREE] = "Access to a freed block",
    [FO_FINDING_FAULT_USED] = "Fault of an access to freed memory",
    [FO_FINDING_FAULT_PATTERN] = "Fault of an access to freed memory, whose block is not known",
    [FO_FINDING_FAULT_NEAR] = "Fault with a pointer to a freed block at hand",
    [FO_FINDING_FAULT] = "Fault that has no known connection with freed memory",
    [FO_FINDING_LIBC_CALL] = "A libc function was called with an OpenSSL block",
    [FO_FINDING_LIBC_CALL_FREED] = "A libc function was called with a freed OpenSSL block",
    [FO_FINDING_LIBC_CALL_INTERIOR] =
        "A libc function was called with a pointer into an OpenSSL block",
    [FO_FINDING_FREED_HEADER] = "Write to the header of a freed block",
    [FO_FINDING_CHANGE] = "Change of an object that another process made",
    [FO_FINDING_LIBC_CALL_NO_BLOCK] =
        "A libc function was called with a pointer to OpenSSL's memory, but to no block",
    [FO_FINDING_BEHIND] = "Free of a pointer at or behind the end of a block",
    [FO_FINDING_BEHIND_FREED] = "Free of a pointer at or behind the end of a freed block",
    [FO_FINDING_SECURE] = "OPENSSL_free of a block of the secure heap",
    [FO_FINDING_SECURE_NO_BLOCK] =
        "OPENSSL_secure_free of a pointer to no live block of the secure heap",
    [FO_FINDING_LEAK] = "A block or object to which no pointer was left when its process ended",
};

json_t *fo_sarif_rules(void)
{
    json_t *list = fo_json_array();

    for (int i = 0; i < RULES; i++) {
        json_t *rule = fo_json_object(), *level = fo_json_object();
        fo_json_set(rule, "id", fo_json_text(ids[i]));
        fo_json_set(rule, "shortDescription", fo_sarif_message(names[i]));
        fo_json_set(rule, "fullDescription", fo_sarif_message(names[i]));
        fo_json_set(rule, "help", fo_sarif_message(fo_advice_of_kind((enum fo_finding_kind)i)));
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
