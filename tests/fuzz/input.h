/* An input of libFuzzer as bytes, numbers and pieces.  Behind its end all bytes are 0. */
#ifndef FO_TESTS_FUZZ_INPUT_H
#define FO_TESTS_FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *at;
    size_t left;
};

static inline size_t input_piece(struct input *in, void *out, size_t size)
{
    size_t n = in->left < size ? in->left : size;

    memcpy(out, in->at, n);
    in->at += n;
    in->left -= n;
    return n;
}

static inline uint8_t input_byte(struct input *in)
{
    uint8_t byte = 0;

    input_piece(in, &byte, sizeof byte);
    return byte;
}

static inline uint16_t input_u16(struct input *in)
{
    uint16_t number = 0;

    input_piece(in, &number, sizeof number);
    return number;
}

static inline uint64_t input_u64(struct input *in)
{
    uint64_t number = 0;

    input_piece(in, &number, sizeof number);
    return number;
}

#endif
