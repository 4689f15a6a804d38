/* load MODULE: opens it as its first call of libc. */
#include <dlfcn.h>
#include <stddef.h>

int main(int argc, char **argv)
{
    return argc == 2 && dlopen(argv[1], RTLD_NOW) != NULL ? 0 : 1;
}
