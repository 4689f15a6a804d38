/* guard: one case for each run, `guard CASE`.  run.py starts it, and knows the reports. */
#include "guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void fact(const char *name, uintptr_t value)
{
    dprintf(STDOUT_FILENO, "%s %ju\n", name, (uintmax_t)value);
}

void check(bool condition, const char *file, int line, const char *text)
{
    if (condition)
        return;
    dprintf(STDERR_FILENO, "%s:%d: %s\n", file, line, text);
    _exit(1);
}

void *launder(void *p)
{
    __asm__ volatile("" : "+r"(p));
    return p;
}

char read_at(const void *p, long offset)
{
    return ((const volatile char *)p)[offset];
}

void write_at(void *p, long offset)
{
    ((volatile char *)p)[offset] = 'w';
}

/* write(2) reads the byte, and fails with EFAULT instead of a signal. */
bool is_guarded(const void *p, size_t size)
{
    static int pipes[2] = {-1, -1};
    uintptr_t end = ((uintptr_t)p + size + 15) & ~(uintptr_t)15;
    char byte;

    CHECK(pipes[0] >= 0 || pipe(pipes) == 0);
    if (write(pipes[1], (const void *)end, 1) != 1)
        return true;
    CHECK(read(pipes[0], &byte, 1) == 1);
    return false;
}

int main(int argc, char **argv)
{
    static const struct guard_case *const tables[] = {fault_cases, free_cases, healthy_cases,
                                                      process_cases, bound_cases};

    CHECK(argc == 2);
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const struct guard_case *c = tables[i]; c->name != NULL; c++)
            if (strcmp(c->name, argv[1]) == 0) {
                c->run();
                return 0;
            }
    fprintf(stderr, "there is no case %s\n", argv[1]);
    return 2;
}
