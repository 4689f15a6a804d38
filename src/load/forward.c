/* See forward.h.  Compilers make one jump of `void f(void *p, ...) { free(p); }`: to an entry of
 * the procedure linkage table, which jumps to the address in a slot of the global offset table, or
 * to the address in that slot itself.  The slot's relocation names the function. */
#include "load/forward.h"

#include <string.h>

#include "base/elf.h"
#include "base/probe.h"

enum { MOST_JUMPS = 4 };

/* An instruction: a jump to `code`, a jump to the address in `slot`, or no jump (both 0). */
struct jump {
    uintptr_t code, slot;
};

static bool read_at(uintptr_t from, void *to, size_t size)
{
    if (!fo_is_readable(from, size))
        return false;
    memcpy(to, (const void *)from, size);
    return true;
}

#if defined(__x86_64__)
static struct jump jump_at(uintptr_t code)
{
    static const uint8_t endbr64[4] = {0xf3, 0x0f, 0x1e, 0xfa};
    uint8_t text[4];
    int32_t distance;

    if (read_at(code, text, 4) && memcmp(text, endbr64, 4) == 0)
        code += 4;
    if (read_at(code, text, 1) && text[0] == 0xf2) /* the prefix bnd */
        code++;
    if (!read_at(code, text, 2))
        return (struct jump){0, 0};
    if (text[0] == 0xeb)
        return (struct jump){code + 2 + (uintptr_t)(intptr_t)(int8_t)text[1], 0};
    if (text[0] == 0xe9 && read_at(code + 1, &distance, 4))
        return (struct jump){code + 5 + (uintptr_t)(intptr_t)distance, 0};
    if (text[0] == 0xff && text[1] == 0x25 && read_at(code + 2, &distance, 4))
        return (struct jump){0, code + 6 + (uintptr_t)(intptr_t)distance};
    return (struct jump){0, 0};
}
#elif defined(__aarch64__)
enum {
    BTI_C = 0xd503245f,
    B_MASK = 0xfc000000,
    B = 0x14000000,
    ADRP_MASK = 0x9f00001f,
    ADRP_X16 = 0x90000010,
    LDR_MASK = 0xffc003ff,
    LDR_X17_X16 = 0xf9400211,
};

static uintptr_t page_of_adrp(uintptr_t code, uint32_t adrp)
{
    int64_t pages = (int64_t)(int32_t)((adrp >> 5 & 0x7ffff) << 13) >> 13;

    return (code & ~(uintptr_t)4095) + (uintptr_t)((pages * 4 + (adrp >> 29 & 3)) * 4096);
}

static struct jump jump_at(uintptr_t code)
{
    uint32_t text[2];

    if (read_at(code, text, 4) && text[0] == (uint32_t)BTI_C)
        code += 4;
    if (!read_at(code, text, 4))
        return (struct jump){0, 0};
    if ((text[0] & (uint32_t)B_MASK) == B)
        return (struct jump){code + (uintptr_t)(((int64_t)(int32_t)(text[0] << 6) >> 6) * 4), 0};
    if ((text[0] & (uint32_t)ADRP_MASK) != (uint32_t)ADRP_X16 || !read_at(code, text, 8) ||
        (text[1] & (uint32_t)LDR_MASK) != (uint32_t)LDR_X17_X16)
        return (struct jump){0, 0};
    return (struct jump){0, page_of_adrp(code, text[0]) + (text[1] >> 10 & 4095) * 8};
}
#endif

bool fo_is_forwarder(uintptr_t code, const char *name)
{
    struct fo_module module;

    for (int jumps = 0; jumps < MOST_JUMPS && code != 0; jumps++) {
        struct jump jump = jump_at(code);
        if (jump.slot == 0) {
            code = jump.code;
            continue;
        }
        const char *called =
            fo_elf_module(code, &module) ? fo_elf_slot_name(&module, jump.slot) : NULL;
        return called != NULL && strcmp(called, name) == 0;
    }
    return false;
}
