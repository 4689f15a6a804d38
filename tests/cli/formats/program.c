/* What test_symbols looks up: says of each of its calls the return address, as the ELF file has it,
 * the function and the line. */
#include <link.h>
#include <stdint.h>
#include <stdio.h>

static int first(struct dl_phdr_info *info, size_t size, void *base)
{
    (void)size;
    *(uintptr_t *)base = info->dlpi_addr;
    return 1;
}

static __attribute__((noinline)) void tell(const char *function, int line)
{
    uintptr_t base = 0;

    dl_iterate_phdr(first, &base);
    printf("%s %#lx %d\n", function, (unsigned long)((uintptr_t)__builtin_return_address(0) - base),
           line);
}

static __attribute__((noinline)) void plain_function(void)
{
    tell(__func__, __LINE__);
    __asm__ volatile(""); /* so that this is a call, not a jump */
}

static inline __attribute__((always_inline)) void inlined_function(void)
{
    tell(__func__, __LINE__);
}

int main(void)
{
    plain_function();
    inlined_function();
    return 0;
}
