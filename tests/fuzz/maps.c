/* The reader of /proc/self/maps (base/mapping.c) with any text, in pieces of any size: that file
 * has the names of mapped files, which may be any bytes.
 * Input: the address to find, the size of a piece, the text. */
#include "input.h"

#include "base/raw.h"

static struct input text;
static size_t piece;

static int open_text(const char *path, int flags, mode_t mode)
{
    (void)path;
    (void)flags;
    (void)mode;
    return 100;
}

static ssize_t read_text(int fd, void *out, size_t size)
{
    (void)fd;
    return (ssize_t)input_piece(&text, out, size < piece ? size : piece);
}

static int close_text(int fd)
{
    (void)fd;
    return 0;
}

#define fo_raw_open  open_text
#define fo_raw_read  read_text
#define fo_raw_close close_text
#include "base/mapping.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    struct fo_mapping found;
    uintptr_t wanted = input_u64(&in);

    piece = input_byte(&in) + 1u;
    text = in;
    if (fo_mapping_find(wanted, &found) && (wanted < found.start || wanted >= found.end))
        __builtin_trap();
    return 0;
}
