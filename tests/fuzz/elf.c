/* The reader of a loaded module's file (base/elf_image.c): program headers, build-id, constants.
 * The module lies at the end of readable memory, and only its segments are readable: a read
 * elsewhere in it faults.
 * Input: the size that the dynamic linker reports (pages), the place of its address 0, a string's
 * address, the readable pages (a bit each), the module. */
#include "input.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "base/base.h"
#include "base/elf.h"
#include "base/probe.h"

enum { PAGE = 4096, PAGES = 16, ROOM = PAGE * PAGES };

static struct fo_module loaded;
static uint16_t readable; /* a bit for each page */

bool fo_is_readable(uintptr_t address, size_t size)
{
    uintptr_t offset = address - loaded.start;

    if (size == 0 || offset >= ROOM || size > ROOM - offset)
        return false;
    for (size_t i = offset / PAGE; i <= (offset + size - 1) / PAGE; i++)
        if ((readable >> i & 1) == 0)
            return false;
    return true;
}

bool fo_probe_string(const char *address, char *out, size_t size)
{
    for (size_t i = 0; i < size && fo_is_readable((uintptr_t)address + i, 1); i++) {
        out[i] = address[i];
        if (out[i] < ' ')
            return i != 0 && out[i] == '\0';
    }
    return false;
}

bool fo_elf_module(uintptr_t code, struct fo_module *out)
{
    if (code < loaded.start || code >= loaded.end)
        return false;
    *out = loaded;
    return true;
}

#include "base/elf_image.c"

static void protect(char *image)
{
    for (size_t i = 0; i < PAGES; i++)
        if ((readable >> i & 1) == 0 && mprotect(image + i * PAGE, PAGE, PROT_NONE) != 0)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char *image;
    struct input in = {data, size};
    unsigned pages = input_byte(&in) % PAGES + 1u;
    uint16_t bias = input_u16(&in), string = input_u16(&in), open = input_u16(&in);
    const unsigned char *id = NULL;
    char text[80];

    if (image == NULL) {
        image = mmap(NULL, ROOM + PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (image == MAP_FAILED)
            abort();
    }
    /* In most inputs all of it is readable: mprotect(2) costs time. */
    readable = open % 8 == 0 ? open >> 3 | 1 : UINT16_MAX;
    if (mprotect(image, ROOM, PROT_READ | PROT_WRITE) != 0)
        abort();
    memset(image, 0, pages * PAGE);
    input_piece(&in, image, pages * PAGE);
    loaded = (struct fo_module){.base = (uintptr_t)image - (bias & 1 ? bias & ~7u : 0),
                                .start = (uintptr_t)image,
                                .end = (uintptr_t)image + pages * PAGE,
                                .path = "x"};
    if (readable != UINT16_MAX)
        protect(image);
    size_t length = fo_elf_build_id(&loaded, &id);
    if (length > 64 || (length != 0 && !fo_is_readable((uintptr_t)id, length)))
        abort();
    if (fo_elf_string(image + string, text, sizeof text) &&
        strnlen(text, sizeof text) == sizeof text)
        abort();
    return 0;
}
