/* load MODULE: opens it, and has called nothing of libc's before. */
#include <dlfcn.h>
#include <stddef.h>

int main(int argc, char **argv)
{
    return argc == 2 && dlopen(argv[1], RTLD_NOW) != NULL ? 0 : 1;
}
