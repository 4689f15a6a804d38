/* See headline.h.  The texts are in findings.def. */
#include "report/headline.h"

static const char *const texts[][2] = {
#define FO_FINDING(KIND, id, free_text, realloc_text) {free_text, realloc_text},
#include "report/findings.def"
#undef FO_FINDING
};

static void put_behind(struct fo_text *t, size_t distance)
{
    if (distance == 0) {
        fo_put(t, "at");
        return;
    }
    fo_put_dec(t, distance);
    fo_put(t, distance == 1 ? " byte behind" : " bytes behind");
}

static void put_source(struct fo_text *t, const struct fo_record *r)
{
    if (r->block == r->pointer)
        return;
    fo_put(t, " (perhaps ");
    fo_put_hex(t, r->block);
    fo_put(t, ", ");
    fo_put_dec(t, r->size);
    fo_put(t, " bytes)");
}

static void put_note(struct fo_text *t, const char *note)
{
    if (note == NULL)
        return;
    fo_put(t, " (");
    fo_put(t, note);
    fo_put(t, ")");
}

static void put_access(struct fo_text *t, const struct fo_record *r)
{
    bool in_front = r->pointer < r->block;

    if (!in_front)
        fo_put(t, "at byte ");
    fo_put_dec(t, r->offset);
    if (in_front)
        fo_put(t, r->offset == 1 ? " byte in front of it" : " bytes in front of it");
}

/* "3 X509 (1152 bytes), which hold 90 more blocks (8410 bytes)" */
static void put_lost(struct fo_text *t, const struct fo_record *r)
{
    fo_put_dec(t, r->lost.blocks);
    fo_put(t, " ");
    fo_put(t, r->object);
    if (r->lost.blocks != 1 && r->object[0] == 'b')
        fo_put(t, "s");
    fo_put(t, " (");
    fo_put_dec(t, r->lost.bytes);
    fo_put(t, r->lost.bytes == 1 ? " byte)" : " bytes)");
    if (r->lost.held == 0)
        return;
    fo_put(t, r->lost.blocks == 1 ? ", which holds " : ", which hold ");
    fo_put_dec(t, r->lost.held);
    fo_put(t, r->lost.held == 1 ? " more block (" : " more blocks (");
    fo_put_dec(t, r->lost.held_bytes);
    fo_put(t, " bytes)");
}

void fo_record_headline(struct fo_text *t, const struct fo_record *r)
{
    for (const char *at = texts[r->kind][r->operation == FO_OPERATION_REALLOC]; *at != '\0'; at++) {
        if (*at != '%') {
            fo_put_char(t, *at);
            continue;
        }
        switch (*++at) {
        case 'o':
            fo_put(t, r->object);
            break;
        case 'a':
            fo_put_hex(t, r->block);
            break;
        case 's':
            fo_put_dec(t, r->size);
            break;
        case 'p':
            fo_put_hex(t, r->pointer);
            break;
        case 'd':
            fo_put_dec(t, r->offset);
            break;
        case 'e':
            put_access(t, r);
            break;
        case 'b':
            put_behind(t, r->offset - r->size);
            break;
        case 'f':
            put_source(t, r);
            break;
        case 'l':
            put_lost(t, r);
            break;
        case 'm':
            fo_put(t, r->memory != NULL ? r->memory : "?");
            break;
        case 'n':
            put_note(t, r->memory);
            break;
        case 'w':
            fo_put(t, r->verb);
            break;
        }
    }
}

const char *fo_record_label(const struct fo_record *r)
{
    if (r->kind >= FO_FINDING_GUARD_OVERFLOW && r->kind <= FO_FINDING_GUARD_USE_AFTER_FREE)
        return "accessed";
    if (r->kind >= FO_FINDING_FAULT_USED && r->kind <= FO_FINDING_FAULT)
        return "fault";
    if ((r->kind >= FO_FINDING_LIBC_CALL && r->kind <= FO_FINDING_LIBC_CALL_INTERIOR) ||
        r->kind == FO_FINDING_LIBC_CALL_NO_BLOCK || r->kind == FO_FINDING_CHANGE ||
        r->kind == FO_FINDING_LEAK)
        return "called";
    if (r->kind == FO_FINDING_USED)
        return "used";
    if (r->operation == FO_OPERATION_REALLOC)
        return "realloc";
    if (r->operation == FO_OPERATION_REFERENCE)
        return "referenced";
    return r->kind == FO_FINDING_DOUBLE_FREE || r->kind == FO_FINDING_FORGOTTEN ? "freed again"
                                                                                : "freed now";
}
