/* Sequences of malloc, realloc, free and wrong frees on one backend (FUZZ_BACKEND), compared with a
 * model: a free of a live block is no finding, and each other free is exactly one; operations on
 * other blocks do not change a block; no two blocks overlap.
 * Input: operations of a few bytes each. */
#include "input.h"

#include <stdio.h>
#include <stdlib.h>

#include "backend/guard.h"
#include "base/probe.h"
#include "block/hooks.h"
#include "engine.h"
#include "report/record.h"

enum { BLOCKS = 48, GONE = 16, OPERATIONS_MAX = 300, EDGE = 256 };

struct block {
    unsigned char *at;
    size_t size;
    unsigned number; /* of its contents */
};

static struct block blocks[BLOCKS];
static unsigned char *gone[GONE]; /* freed a while ago */
static unsigned numbers;
static uint64_t findings;
static struct fo_record newest; /* the newest finding */

/* --- the model -------------------------------------------------------------------------------- */

static unsigned char byte_at(size_t i, unsigned number)
{
    return (unsigned char)(i * 31 + number * 7u + 1);
}

/* Of a large block the first and the last bytes are enough. */
static size_t next(size_t i, size_t size)
{
    return i + 1 == EDGE && size > 2 * EDGE ? size - EDGE : i + 1;
}

static void fill(const struct block *b)
{
    for (size_t i = 0; i < b->size; i = next(i, b->size))
        b->at[i] = byte_at(i, b->number);
}

static void check(const struct block *b, size_t size)
{
    for (size_t i = 0; i < size; i = next(i, b->size))
        if (b->at[i] != byte_at(i, b->number))
            abort();
}

/* No operation writes to a header, so none may be reported as damaged.  (Where check bits decide,
 * memory that was handed out again in other pieces looks like a damaged header.) */
void true_report(const struct fo_record *r) __asm__("__real_fo_report");
void see_report(const struct fo_record *r) __asm__("__wrap_fo_report");

void see_report(const struct fo_record *r)
{
    if (!FUZZ_CHECK_BITS && r->kind == FO_FINDING_HEADER)
        abort();
    newest = *r;
    true_report(r);
}

static void expect(uint64_t more)
{
    findings += more;
    if (engine_findings() != findings)
        abort();
}

static struct block *block_at(const void *p)
{
    for (size_t i = 0; i < BLOCKS; i++)
        if (blocks[i].at != NULL && blocks[i].at == p)
            return &blocks[i];
    return NULL;
}

static void add_block(struct block *b, void *at, size_t size)
{
    if ((uintptr_t)at % 16 != 0)
        abort();
    for (size_t i = 0; i < BLOCKS; i++)
        if (blocks[i].at != NULL && (unsigned char *)at < blocks[i].at + blocks[i].size &&
            blocks[i].at < (unsigned char *)at + size)
            abort();
    *b = (struct block){at, size, ++numbers};
    fill(b);
}

static void remove_block(struct block *b)
{
    check(b, b->size);
    gone[numbers++ % GONE] = b->at;
    b->at = NULL;
}

/* --- operations ------------------------------------------------------------------------------- */

static size_t size_of(struct input *in)
{
    uint8_t kind = input_byte(in);
    uint16_t size = input_u16(in);

    if (kind < 240)
        return size % (kind < 200 ? 512 : 8192);
    return kind < 253 ? size * 2u : kind == 253 ? size * 16u : 0; /* larger copies would be slow */
}

static void allocate(struct input *in)
{
    struct block *b = &blocks[input_byte(in) % BLOCKS];
    size_t size = size_of(in);

    if (b->at != NULL)
        return;
    void *p = fo_malloc(size, "new.c", input_byte(in));
    if ((p == NULL) != (size == 0))
        abort();
    if (p != NULL)
        add_block(b, p, size);
}

static void move(struct input *in)
{
    struct block *b = &blocks[input_byte(in) % BLOCKS], old = *b;
    size_t size = size_of(in);

    if (old.at == NULL)
        return;
    check(b, b->size);
    void *p = fo_realloc(old.at, size, "move.c", input_byte(in));
    if ((p == NULL) != (size == 0))
        abort();
    b->at = NULL;
    if (p != old.at)
        gone[numbers % GONE] = old.at;
    if (p == NULL)
        return;
    old.at = p;
    check(&old, size < old.size ? size : old.size);
    add_block(b, p, size);
}

static void release(struct input *in)
{
    struct block *b = &blocks[input_byte(in) % BLOCKS];
    void *p = b->at;

    if (p != NULL)
        remove_block(b);
    fo_free(p, "free.c", input_byte(in));
}

/* Backend guard remembers more freed blocks than one input frees. */
static void check_told(uintptr_t p)
{
    for (size_t i = 0; fo_guard_contains(p) && i < GONE; i++)
        if ((uintptr_t)gone[i] == p &&
            (newest.kind != FO_FINDING_DOUBLE_FREE || !newest.first.known))
            abort();
}

/* Free any pointer: this is right for a live block, and one finding for all others. */
static void pass_pointer(uintptr_t p, struct input *in)
{
    uint8_t way = input_byte(in);
    struct block *b = block_at((void *)p);

    if (p == 0)
        return;
    if (b != NULL) {
        remove_block(b);
        fo_free((void *)p, "late.c", way);
    } else if (way % 4 != 0) {
        fo_free((void *)p, "wrong.c", way);
        expect(1);
        check_told(p);
    } else {
        if (fo_realloc((void *)p, 1u + way, "wrong.c", way) != NULL)
            abort();
        expect(1);
        check_told(p);
    }
}

static void again(struct input *in)
{
    pass_pointer((uintptr_t)gone[input_byte(in) % GONE], in);
}

static void inside(struct input *in)
{
    struct block *b = &blocks[input_byte(in) % BLOCKS];
    size_t offset = input_u16(in);

    if (b->at != NULL && b->size > 1)
        pass_pointer((uintptr_t)b->at + 1 + offset % (b->size - 1), in);
}

/* Near a live or a freed block, or anywhere. */
static void anywhere(struct input *in)
{
    uint8_t kind = input_byte(in);
    uint64_t number = input_u64(in);
    uintptr_t near = (uintptr_t)(kind % 2 != 0 ? blocks[kind % BLOCKS].at : gone[kind % GONE]);

    pass_pointer(kind % 4 < 2 ? near + (number & 0x1ffff) - 0x10000 : number, in);
}

static void nothing(struct input *in)
{
    static char data[64];
    char stack[64];
    uint8_t kind = input_byte(in);

    fo_free(NULL, "null.c", kind);
    if (fo_malloc(UINT64_C(1) << 34 << kind % 30, "huge.c", kind) != NULL)
        abort();
    pass_pointer((uintptr_t)((kind & 1) != 0 ? data : stack) + kind % 64, in);
}

/* Through a freed pointer, to memory that no live block has.  Where freed memory is given back
 * (FUZZ_STALE_WRITES is 0), it would be another owner's. */
static void write_stale(struct input *in)
{
    unsigned char *p = gone[input_byte(in) % GONE], bytes[16];
    size_t size = input_piece(in, bytes, sizeof bytes);

    for (size_t i = 0; i < BLOCKS && p != NULL; i++)
        if (blocks[i].at != NULL && p < blocks[i].at + blocks[i].size + sizeof bytes &&
            blocks[i].at < p + 2 * sizeof bytes)
            return;
    if (FUZZ_STALE_WRITES && p != NULL && fo_is_readable((uintptr_t)p, sizeof bytes))
        memcpy(p, bytes, size);
}

static void (*const operations[])(struct input *) = {allocate, allocate, move,       release,
                                                     release,  again,    again,      inside,
                                                     anywhere, nothing,  write_stale};
enum { OPERATIONS = sizeof operations / sizeof operations[0] };

static void end(void)
{
    for (size_t i = 0; i < BLOCKS; i++) {
        if (blocks[i].at == NULL)
            continue;
        void *p = blocks[i].at;
        remove_block(&blocks[i]);
        fo_free(p, "end.c", 1);
    }
    memset(gone, 0, sizeof gone);
    numbers = 0;
    expect(0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool started;
    struct input in = {data, size};
    size_t printed;

    if (!started)
        engine_start((const char *const[]){"BACKEND=" FUZZ_BACKEND, NULL});
    started = true;
    for (int i = 0; i < OPERATIONS_MAX && in.left != 0; i++) {
        operations[input_byte(&in) % OPERATIONS](&in);
        expect(0);
    }
    end();
    engine_log(&printed);
    return 0;
}
