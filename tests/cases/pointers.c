/* Pointers of every kind that start no live block, passed to free or to realloc. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "fault.h"

static char *block_of_100(void)
{
    char *p = ALLOC("alloc", 100);

    CHECK(p != NULL && ((uintptr_t)p & 15) == 0);
    memset(p, 'b', 100);
    fact("block", "%p", (void *)p);
    return p;
}

/* A pointer near a live block; the block is whole afterwards and is freed as usual. */
static void near_block(long distance)
{
    char *p = block_of_100();

    pass_pointer(p + distance);
    for (int i = 0; i < 100; i++)
        CHECK(p[i] == 'b');
    OPENSSL_free(p);
}

static void inside_1(void)
{
    near_block(1);
}

static void inside_8(void)
{
    near_block(8);
}

static void inside_16(void)
{
    near_block(16);
}

static void inside_99(void)
{
    near_block(99);
}

static void header_8(void)
{
    near_block(-8);
}

static void header_16(void)
{
    near_block(-16);
}

static void inside_large(void)
{
    char *p = ALLOC("alloc", 1 << 20);

    fact("block", "%p", (void *)p);
    pass_pointer(p + (1 << 19));
    OPENSSL_free(p);
}

/* A header in the block's own content, with each value of the check bits. */
static void forged_header(void)
{
    char *p = ALLOC("alloc", 240);
    const uint64_t word = *(uint64_t *)(p - 8) & ~(uint64_t)0xffff;
    uint64_t *forged = (uint64_t *)(p + 32);

    fact("block", "%p", (void *)p);
    fact("pointer", "%p", (void *)(p + 48));
    for (unsigned check = 0; check <= 0xffff; check++) {
        forged[0] = *(uint64_t *)(p - 16);
        forged[1] = word | check;
        check == 0 ? fact_site("now", __FILE__, __LINE__) : (void)0, OPENSSL_free(p + 48);
        CHECK(forged[1] == (word | check));
    }
    for (int i = 0; i < 2000; i++) {
        char *other = OPENSSL_malloc(240);
        CHECK(other >= p + 240 || other + 240 <= p);
    }
    OPENSSL_free(p);
}

static void inside_freed(void)
{
    char *p = block_of_100();

    FREE("first", p);
    pass_pointer(p + 16);
}

static void header_freed(void)
{
    char *p = block_of_100();

    FREE("first", p);
    pass_pointer(p - 8);
}

static void on_stack(void)
{
    char local[64] = "local";

    pass_pointer(launder(local + 16));
    CHECK(strcmp(local, "local") == 0);
}

static void on_main_stack(void)
{
    on_stack();
}

static void on_thread_stack(void)
{
    fact("thread", "%d", (int)gettid());
    on_stack();
}

static void on_thread_stack_start(void)
{
    on_thread(on_thread_stack);
}

static void static_data(void)
{
    static char data[64];

    pass_pointer(data + ((uintptr_t)data & 15 ? 16 - ((uintptr_t)data & 15) : 0));
}

static void static_constant(void)
{
    static const char text[] = "constant";
    uintptr_t address = (uintptr_t)text;

    pass_pointer((void *)address);
}

static void code(void)
{
    uintptr_t address = (uintptr_t)code;

    pass_pointer((void *)address);
}

static void value(uintptr_t address)
{
    pass_pointer((void *)address);
}

static void first_page_1(void)
{
    value(1);
}

static void first_page_8(void)
{
    value(8);
}

static void first_page_16(void)
{
    value(16);
}

static void first_page_4095(void)
{
    value(4095);
}

static void deadbeef(void)
{
    value(0xdeadbeefdeadbeef);
}

static void all_ones(void)
{
    value(~(uintptr_t)0);
}

static void top_bit(void)
{
    value((uintptr_t)1 << 63);
}

/* The last 16 bytes of the address space of user programs. */
static void last_address(void)
{
    value(((uintptr_t)1 << 47) - 16);
}

static void kernel_address(void)
{
    value(0xffff888000000000);
}

static char *pages(int count, int protection)
{
    char *p = mmap(NULL, (size_t)count * 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(p != MAP_FAILED);
    return p;
}

static void unmapped(void)
{
    char *p = pages(2, PROT_READ | PROT_WRITE);

    CHECK(munmap(p, 8192) == 0);
    pass_pointer(p + 64);
}

static void no_access(void)
{
    pass_pointer(pages(1, PROT_NONE) + 64);
}

static void write_only_neighbour(void)
{
    char *p = pages(2, PROT_READ | PROT_WRITE);

    CHECK(mprotect(p, 4096, PROT_NONE) == 0);
    pass_pointer(p + 4096); /* p - 16 cannot be read */
}

static void from_malloc(void)
{
    char *p = malloc(333);

    CHECK(p != NULL);
    strcpy(p, "mine");
    pass_pointer(p);
    CHECK(strcmp(p, "mine") == 0);
    free(p);
}

/* With FREEONCE_FOREIGN=free: libc got it, so the next block of this size is the same one. */
static void from_malloc_freed(void)
{
    void *p = malloc(333);

    pass_pointer(p);
    const void *next = malloc(333);
    fact("freed", "%s", next == p ? "yes" : "no");
}

static void from_malloc_realloced(void)
{
    char *p = malloc(333);

    strcpy(p, "mine");
    fact("pointer", "%p", (void *)p);
    char *moved = REALLOC("now", launder(p), 100000);
    CHECK(moved != NULL && strcmp(moved, "mine") == 0);
    free(moved);
}

/* A report reads the memory that is in use, not all that the options reserve. */
static void peak(void)
{
    struct rusage usage;

    from_malloc();
    CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
    fact("peak", "%s", usage.ru_maxrss < 50 * 1024 ? "small" : "large");
}

static void page_of_malloc(void)
{
    void *p = aligned_alloc(4096, 8192);

    CHECK(p != NULL);
    pass_pointer(p);
    free(p);
}

const struct fault pointer_faults[] = {
    {"inside-1", inside_1},
    {"inside-8", inside_8},
    {"inside-16", inside_16},
    {"inside-99", inside_99},
    {"inside-large", inside_large},
    {"forged-header", forged_header},
    {"inside-freed", inside_freed},
    {"header-8", header_8},
    {"header-16", header_16},
    {"header-freed", header_freed},
    {"stack-main", on_main_stack},
    {"stack-thread", on_thread_stack_start},
    {"static-data", static_data},
    {"static-constant", static_constant},
    {"code", code},
    {"first-page-1", first_page_1},
    {"first-page-8", first_page_8},
    {"first-page-16", first_page_16},
    {"first-page-4095", first_page_4095},
    {"deadbeef", deadbeef},
    {"all-ones", all_ones},
    {"top-bit", top_bit},
    {"last-address", last_address},
    {"kernel-address", kernel_address},
    {"unmapped", unmapped},
    {"no-access", no_access},
    {"page-behind-no-access", write_only_neighbour},
    {"malloced", from_malloc},
    {"malloced-page", page_of_malloc},
    {"malloced-peak", peak},
    {"malloced-freed", from_malloc_freed},
    {"malloced-realloced", from_malloc_realloced},
    {NULL, NULL},
};
