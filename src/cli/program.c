/* See program.h.  Any user may have made the file: each number in it is bounded. */
#include "cli/program.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { HEAD_SIZE = 1 << 16 };

#if defined(__x86_64__)
enum { MACHINE = EM_X86_64 };
#else
enum { MACHINE = EM_AARCH64 };
#endif

/* The dynamic linker that the program names: NULL if it has none, "" if that is not known. */
static const char *interpreter_of(const struct fo_program *program)
{
    Elf64_Ehdr h;
    const char *head = program->head;
    size_t size = program->size;

    if (size < sizeof h)
        return "";
    memcpy(&h, head, sizeof h);
    if (h.e_phoff >= size || h.e_phentsize != sizeof(Elf64_Phdr))
        return "";
    for (unsigned int i = 0; i < h.e_phnum; i++) {
        Elf64_Phdr p;
        if (h.e_phoff + (i + 1) * sizeof p > size)
            return "";
        memcpy(&p, head + h.e_phoff + i * sizeof p, sizeof p);
        if (p.p_type != PT_INTERP)
            continue;
        bool whole =
            p.p_offset < size && memchr(head + p.p_offset, '\0', size - p.p_offset) != NULL;
        return whole ? head + p.p_offset : "";
    }
    return NULL;
}

/* The name of a libc other than glibc; NULL: it is glibc, or not known. */
static const char *other_libc(const char *interpreter)
{
    static const struct {
        const char *start, *libc;
    } linkers[] = {{"ld-musl", "musl"},
                   {"ld-uClibc", "uClibc"},
                   {"ld64-uClibc", "uClibc"},
                   {"linker64", "bionic"}};
    const char *slash = strrchr(interpreter, '/'), *base = slash == NULL ? interpreter : slash + 1;

    for (size_t i = 0; i < sizeof linkers / sizeof linkers[0]; i++)
        if (strncmp(base, linkers[i].start, strlen(linkers[i].start)) == 0)
            return linkers[i].libc;
    return NULL;
}

static enum fo_program_kind kind_of(struct fo_program *program)
{
    const char *head = program->head;
    Elf64_Half machine;

    if (program->size >= 2 && head[0] == '#' && head[1] == '!')
        return FO_PROGRAM_SCRIPT;
    if (program->size < offsetof(Elf64_Ehdr, e_version) || memcmp(head, ELFMAG, SELFMAG) != 0)
        return FO_PROGRAM_OTHER;
    if (head[EI_CLASS] != ELFCLASS64)
        return FO_PROGRAM_BITS;
    memcpy(&machine, head + offsetof(Elf64_Ehdr, e_machine), sizeof machine);
    if (machine != MACHINE)
        return FO_PROGRAM_MACHINE;
    const char *interpreter = interpreter_of(program);
    if (interpreter == NULL)
        return FO_PROGRAM_STATIC;
    program->interpreter = interpreter;
    program->libc = other_libc(interpreter);
    return program->libc != NULL ? FO_PROGRAM_LIBC : FO_PROGRAM_DYNAMIC;
}

bool fo_program_read(struct fo_program *program, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    *program = (struct fo_program){.interpreter = ""};
    if (fd < 0)
        return false;
    errno = 0;
    if (fstat(fd, &program->status) == 0 && S_ISREG(program->status.st_mode) &&
        (program->head = malloc(HEAD_SIZE)) != NULL) {
        ssize_t n = read(fd, program->head, HEAD_SIZE - 1);
        program->size = n > 0 ? (size_t)n : 0;
        program->head[program->size] = '\0';
        program->kind = kind_of(program);
    }
    int error = errno;
    close(fd);
    errno = error;
    return program->head != NULL;
}

void fo_program_free(struct fo_program *program)
{
    free(program->head);
    program->head = NULL;
}

bool fo_program_look_up(const char *name, char path[PATH_MAX])
{
    const char *folders = getenv("PATH");

    if (strchr(name, '/') != NULL)
        return snprintf(path, PATH_MAX, "%s", name) < PATH_MAX;
    for (const char *at = folders != NULL ? folders : "/bin:/usr/bin"; at != NULL;) {
        int length = (int)strcspn(at, ":");
        int n = snprintf(path, PATH_MAX, "%.*s%s%s", length, at, length != 0 ? "/" : "", name);
        if (n < PATH_MAX && access(path, X_OK) == 0)
            return true;
        at = at[length] == ':' ? at + length + 1 : NULL;
    }
    return false;
}

bool fo_program_obstacle(const struct fo_program *program, const char **reason, char *text,
                         size_t size)
{
    switch (program->kind) {
    case FO_PROGRAM_STATIC:
        *reason = "static";
        snprintf(text, size, "is statically linked: no library can be loaded into it");
        return true;
    case FO_PROGRAM_BITS:
        *reason = "32-bit";
        snprintf(text, size, "is a program of 32 bits, and the library has 64");
        return true;
    case FO_PROGRAM_MACHINE:
        *reason = "machine";
        snprintf(text, size, "is a program for another processor");
        return true;
    case FO_PROGRAM_LIBC:
        *reason = "libc";
        snprintf(text, size, "is a program of %s (%s), and the library needs glibc", program->libc,
                 program->interpreter);
        return true;
    default:
        return false;
    }
}

const char *fo_program_secure(const char *path, const struct stat *status, uid_t user, gid_t group,
                              bool no_new_privs)
{
    if (!no_new_privs && (status->st_mode & S_ISUID) != 0 && status->st_uid != user)
        return "is setuid";
    if (!no_new_privs && (status->st_mode & S_ISGID) != 0 && (status->st_mode & S_IXGRP) != 0 &&
        status->st_gid != group)
        return "is setgid";
    if (user != 0 && getxattr(path, "security.capability", NULL, 0) > 0)
        return "has file capabilities (getcap)";
    return NULL;
}
