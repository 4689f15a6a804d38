/* Loads two plug-ins that bring a libcrypto each, and lets both free objects of their own, in turn.
 */
#include <dlfcn.h>
#include <stdio.h>

static int (*load(const char *path))(void)
{
    int (*found)(void);
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);

    if (handle == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return NULL;
    }
    *(void **)&found = dlsym(handle, "try_plugin");
    return found;
}

int main(int argc, char **argv)
{
    int (*plugins[2])(void);

    if (argc != 3)
        return 2;
    plugins[0] = load(argv[1]);
    if (plugins[0] == NULL || plugins[0]() != 3)
        return 3;
    plugins[1] = load(argv[2]);
    if (plugins[1] == NULL || plugins[1]() != 3)
        return 4;
    return plugins[0]() == 3 ? 0 : 5;
}
