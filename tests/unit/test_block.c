/* The 16 bytes in front of a payload: does packing lose nothing, and do the check bits detect an
 * overwritten header? */
#include "base/block.h"
#include "fixture.h"
#include "heap/hot.h"

enum { HEADERS = 2000 };

static uint64_t seed = 1;

static void a_site_keeps_file_and_line(void **state)
{
    static const uintptr_t files[] = {0, 1, 0x7ffffffff000, (UINT64_C(1) << 48) - 1};
    static const int lines[] = {0, 1, 65534, 65535};

    (void)state;
    for (size_t f = 0; f < sizeof files / sizeof files[0]; f++)
        for (size_t l = 0; l < sizeof lines / sizeof lines[0]; l++) {
            fo_site site = fo_site_pack((const char *)files[f], lines[l]);
            assert_int_equal((uintptr_t)fo_site_file(site), files[f]);
            assert_int_equal(fo_site_line(site), lines[l]);
        }
}

static void a_line_that_is_too_large_becomes_65535(void **state)
{
    static const int lines[] = {65536, 1 << 20, INT32_MAX, -1};

    (void)state;
    for (size_t l = 0; l < sizeof lines / sizeof lines[0]; l++) {
        fo_site site = fo_site_pack("a.c", lines[l]);
        assert_int_equal(fo_site_line(site), 65535);
        assert_string_equal(fo_site_file(site), "a.c");
    }
}

static uint64_t make_word(uint64_t size, unsigned pad8, unsigned backend, unsigned process)
{
    return size << FO_SIZE_SHIFT | (uint64_t)pad8 << FO_PAD8_SHIFT |
           (uint64_t)backend << FO_BACKEND_SHIFT | (uint64_t)process << FO_META_SHIFT |
           (uint64_t)FO_STATE_LIVE << FO_STATE_SHIFT;
}

static void fields_do_not_touch_each_other_at_their_limits(void **state)
{
    static const uint64_t sizes[] = {1, 15, 16, 65537, FO_SIZE_MAX};
    const unsigned backends = 1u << FO_BACKEND_BITS, processes = 1u << FO_PROCESS_BITS;

    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
        for (unsigned pad8 = 0; pad8 < 2; pad8++)
            for (unsigned b = 0; b < backends; b++)
                for (unsigned p = 0; p < processes; p += processes - 1) {
                    uint64_t word = make_word(sizes[s], pad8, b, p);
                    assert_int_equal(fo_word_size(word), sizes[s]);
                    assert_int_equal(fo_word_pad(word), pad8 * 8);
                    assert_int_equal(fo_word_backend(word), b);
                    assert_int_equal(fo_word_process(word), p);
                }
}

static void the_base_lies_before_header_and_padding(void **state)
{
    (void)state;
    assert_ptr_equal(fo_header_of(0x1020), (void *)0x1010);
    assert_ptr_equal(fo_block_base(0x1020, make_word(1, 0, 1, 1)), (void *)0x1010);
    assert_ptr_equal(fo_block_base(0x1020, make_word(1, 1, 1, 1)), (void *)0x1008);
}

struct sample {
    uint64_t secret;
    uintptr_t payload;
    struct fo_header header;
};

static struct sample new_sample(void)
{
    struct sample s = {.secret = fixture_random(&seed),
                       .payload = fixture_random(&seed) >> 17 & ~UINT64_C(15)};

    s.header.site = fixture_random(&seed);
    uint64_t word =
        make_word(fixture_random(&seed) >> 30, 0, 1 + (unsigned)(fixture_random(&seed) % 3),
                  (unsigned)(fixture_random(&seed) % 1024));
    s.header.word = word | fo_check(s.secret, s.payload, s.header.site, word);
    return s;
}

static bool accepts(const struct sample *s)
{
    return fo_is_live(s->secret, s->payload, s->header.site, s->header.word);
}

static void a_header_as_written_is_live(void **state)
{
    (void)state;
    for (int i = 0; i < HEADERS; i++) {
        struct sample s = new_sample();
        assert_true(accepts(&s));
    }
}

static void every_changed_bit_of_state_and_check_is_noticed(void **state)
{
    (void)state;
    for (int i = 0; i < HEADERS; i++)
        for (int bit = 0; bit < FO_META_SHIFT; bit++) {
            struct sample s = new_sample();
            s.header.word ^= UINT64_C(1) << bit;
            assert_false(accepts(&s));
        }
}

/* 14 bits miss a change once in 16,384. */
static void a_changed_bit_of_the_others_is_noticed_but_for_1_in_4096(void **state)
{
    unsigned missed = 0, tried = 0;

    (void)state;
    for (int i = 0; i < 16 * HEADERS; i++)
        for (int bit = 0; bit < 64; bit++, tried += 2) {
            struct sample s = new_sample(), t = new_sample();
            s.header.site ^= UINT64_C(1) << bit;
            t.header.word ^= UINT64_C(1) << (FO_META_SHIFT + bit % (64 - FO_META_SHIFT));
            missed += (unsigned)accepts(&s) + (unsigned)accepts(&t);
        }
    print_message("%u of %u changed bits missed\n", missed, tried);
    assert_true(missed < tried / 4096);
}

/* A hash that is linear can be forged: the hash of a sum is the sum of the hashes. */
static void check_bits_of_other_headers_do_not_add_up_to_those_of_one(void **state)
{
    enum { TRIES = 4096 };
    uint64_t key = fixture_random(&seed) | 1;
    int by_header = 0, by_region = 0;

    (void)state;
    for (int i = 0; i < TRIES; i++) {
        uint64_t a = fixture_random(&seed), b = fixture_random(&seed);
        uint64_t off = fo_check(key, a + b, 0, 0) - fo_check(key, a, 0, 0) - fo_check(key, b, 0, 0);
        by_header += ((off + 1) & FO_CHECK_MASK) <= 2;
        off = fo_region_check(key, a + b, 0, 0) - fo_region_check(key, a, 0, 0) -
              fo_region_check(key, b, 0, 0);
        by_region += ((off + 1) & 0x7fff) <= 2;
    }
    assert_in_range(by_header, 0, TRIES / 256);
    assert_in_range(by_region, 0, TRIES / 256);
}

/* A header that was copied to another address is not valid there. */
static void another_address_or_secret_is_noticed_but_for_1_in_4096(void **state)
{
    unsigned missed = 0, tried = 0;

    (void)state;
    for (int i = 0; i < 100 * HEADERS; i++, tried += 2) {
        struct sample s = new_sample(), t = s;
        s.payload += 16 + 16 * (fixture_random(&seed) % 64);
        t.secret = fixture_random(&seed);
        missed += (unsigned)accepts(&s) + (unsigned)accepts(&t);
    }
    assert_true(missed < tried / 4096);
}

static void the_check_leaves_the_state_out(void **state)
{
    (void)state;
    for (int i = 0; i < HEADERS; i++) {
        struct sample s = new_sample();
        uint64_t freed = fo_word_freed(s.header.word);
        assert_int_equal(freed >> FO_STATE_SHIFT & 3, FO_STATE_FREED);
        assert_int_equal(fo_check(s.secret, s.payload, s.header.site, freed),
                         freed & FO_CHECK_MASK);
        assert_false(fo_is_live(s.secret, s.payload, s.header.site, freed));
        assert_int_equal(fo_word_freed(freed), s.header.word);
    }
}

static void random_bytes_pass_the_check_once_in_2_to_the_14(void **state)
{
    enum { TRIES = 1 << 22, EXPECTED = TRIES >> FO_CHECK_BITS };
    unsigned passed = 0, live = 0;

    (void)state;
    for (int i = 0; i < TRIES; i++) {
        uint64_t site = fixture_random(&seed), word = fixture_random(&seed);
        uintptr_t payload = 0x7f0000000010;
        passed += (word & FO_CHECK_MASK) == fo_check(0x1234567, payload, site, word);
        live += fo_is_live(0x1234567, payload, site, word);
    }
    assert_in_range(passed, EXPECTED * 3 / 4, EXPECTED * 5 / 4);
    assert_in_range(live, EXPECTED / 4 / 2, EXPECTED / 4 * 2); /* the state adds two bits */
}

static void a_header_of_one_repeated_byte_is_damage(void **state)
{
    unsigned passed = 0;

    (void)state;
    for (int i = 0; i < 200; i++)
        for (uint64_t byte = 0; byte < 256; byte++) {
            uint64_t all = byte * UINT64_C(0x0101010101010101);
            passed += fo_is_live(fixture_random(&seed), 0x5555000000a0, all, all);
        }
    assert_true(passed < 200 * 256 / 4096);
    assert_false(fo_is_live(0, 0x5555000000a0, 0, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_site_keeps_file_and_line),
        cmocka_unit_test(a_line_that_is_too_large_becomes_65535),
        cmocka_unit_test(fields_do_not_touch_each_other_at_their_limits),
        cmocka_unit_test(the_base_lies_before_header_and_padding),
        cmocka_unit_test(a_header_as_written_is_live),
        cmocka_unit_test(every_changed_bit_of_state_and_check_is_noticed),
        cmocka_unit_test(a_changed_bit_of_the_others_is_noticed_but_for_1_in_4096),
        cmocka_unit_test(check_bits_of_other_headers_do_not_add_up_to_those_of_one),
        cmocka_unit_test(another_address_or_secret_is_noticed_but_for_1_in_4096),
        cmocka_unit_test(the_check_leaves_the_state_out),
        cmocka_unit_test(random_bytes_pass_the_check_once_in_2_to_the_14),
        cmocka_unit_test(a_header_of_one_repeated_byte_is_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
