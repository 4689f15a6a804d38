/* What is at an address of OpenSSL's secure heap?  Where its blocks were allocated is not known. */
#include "block/secure.h"
#include "block/verdict_parts.h"

bool fo_judge_secure(struct fo_record *r)
{
    struct fo_secure_at at = fo_secure_at(r->pointer);

    if (at.state == FO_SECURE_ELSEWHERE)
        return false;
    r->kind = FO_FINDING_SECURE;
    return true;
}

bool fo_judge_secure_free(struct fo_record *r)
{
    struct fo_secure_at at = fo_secure_at(r->pointer);
    struct fo_freed f;

    if (at.state == FO_SECURE_ELSEWHERE)
        return false;
    r->object = "secure block";
    if (at.state == FO_SECURE_LIVE) {
        r->block = at.block;
        r->size = at.size;
        fo_judge_offset(r, true);
    } else if (fo_secure_find_freed(r->pointer, &f)) {
        r->kind = FO_FINDING_DOUBLE_FREE;
        fo_record_freed(r, &f);
        r->allocated.known = false;
    } else {
        r->kind = FO_FINDING_SECURE_NO_BLOCK;
    }
    return true;
}
