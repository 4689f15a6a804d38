/* See elf_file.h.  Reads with pread(2), so that a file that shrinks meanwhile is an error and no
 * SIGBUS. */
#include "cli/doctor/elf_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    HEADERS_MAX = 1024,
    DYNAMIC_MAX = 1 << 16,
    TABLE_MAX = 256 << 20, /* bytes of a table of strings, symbols or hashes */
    SEARCH_MAX = 1 << 30,  /* bytes that fo_elf_file_holds() reads */
    CHUNK = 1 << 20,
};

static bool read_at(const struct fo_elf_file *f, uint64_t offset, void *out, size_t size)
{
    char *to = out;

    if (offset > f->size || size > f->size - offset)
        return false;
    for (size_t done = 0; done < size;) {
        ssize_t n = pread(f->fd, to + done, size - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

/* A copy of part of the file with a NUL behind it; NULL: it is not there. */
static void *copy_at(const struct fo_elf_file *f, uint64_t offset, uint64_t size)
{
    if (size > TABLE_MAX || offset > f->size || size > f->size - offset)
        return NULL;
    char *copy = malloc((size_t)size + 1);
    if (copy != NULL && read_at(f, offset, copy, (size_t)size)) {
        copy[size] = '\0';
        return copy;
    }
    free(copy);
    return NULL;
}

/* Where in the file is what will lie at this address?  *left: bytes to the segment's end. */
static bool offset_of(const struct fo_elf_file *f, uint64_t address, uint64_t *offset,
                      uint64_t *left)
{
    for (size_t i = 0; i < f->header_count; i++) {
        const Elf64_Phdr *p = &f->headers[i];
        uint64_t distance = address - p->p_vaddr;
        if (p->p_type != PT_LOAD || address < p->p_vaddr || distance >= p->p_filesz)
            continue;
        if (p->p_offset > f->size || distance > f->size - p->p_offset)
            return false;
        *offset = p->p_offset + distance;
        *left = p->p_filesz - distance;
        return true;
    }
    return false;
}

static uint64_t value_of(const struct fo_elf_file *f, int64_t tag)
{
    for (size_t i = 0; i < f->dynamic_count; i++)
        if (f->dynamic[i].d_tag == tag)
            return f->dynamic[i].d_un.d_val;
    return 0;
}

static bool read_headers(struct fo_elf_file *f)
{
    Elf64_Ehdr h;

    if (!read_at(f, 0, &h, sizeof h) || memcmp(h.e_ident, ELFMAG, SELFMAG) != 0 ||
        h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_phentsize != sizeof(Elf64_Phdr) ||
        h.e_phnum > HEADERS_MAX)
        return false;
    f->headers = copy_at(f, h.e_phoff, h.e_phnum * sizeof(Elf64_Phdr));
    f->header_count = f->headers != NULL ? h.e_phnum : 0;
    return f->headers != NULL;
}

static bool read_dynamic(struct fo_elf_file *f)
{
    const Elf64_Phdr *p = f->headers, *end = f->headers + f->header_count;

    while (p < end && p->p_type != PT_DYNAMIC)
        p++;
    if (p == end) /* a static program */
        return true;
    size_t count = p->p_filesz / sizeof(Elf64_Dyn);
    if (count > DYNAMIC_MAX)
        return false;
    f->dynamic = copy_at(f, p->p_offset, count * sizeof(Elf64_Dyn));
    if (f->dynamic == NULL)
        return false;
    while (f->dynamic_count < count && f->dynamic[f->dynamic_count].d_tag != DT_NULL)
        f->dynamic_count++;
    uint64_t offset, left, size = value_of(f, DT_STRSZ);
    if (!offset_of(f, value_of(f, DT_STRTAB), &offset, &left) || size > left)
        return f->dynamic_count == 0;
    f->strings = copy_at(f, offset, size);
    f->strings_size = f->strings != NULL ? (size_t)size : 0;
    return f->strings != NULL;
}

/* The length of the symbol table stands nowhere: the last chain of the hash table ends with it.  A
 * table without a chain has undefined symbols alone, as many as come in front of the first hash. */
static size_t count_hashed(const struct fo_elf_file *f)
{
    uint64_t offset, left;
    uint32_t head[4], most = 0, hash = 0;

    if (!offset_of(f, value_of(f, DT_GNU_HASH), &offset, &left) || left < sizeof head ||
        !read_at(f, offset, head, sizeof head))
        return 0;
    uint64_t bucket = sizeof head + (uint64_t)head[2] * sizeof(Elf64_Addr);
    uint64_t chain = bucket + (uint64_t)head[0] * sizeof(uint32_t);
    if (chain > left)
        return 0;
    uint32_t *buckets = copy_at(f, offset + bucket, (uint64_t)head[0] * sizeof(uint32_t));
    for (uint32_t i = 0; buckets != NULL && i < head[0]; i++)
        most = buckets[i] > most ? buckets[i] : most;
    free(buckets);
    if (most < head[1])
        return head[1];
    for (uint64_t i = most; (hash & 1) == 0; i++) {
        uint64_t at = chain + (i - head[1]) * sizeof hash;
        if (at + sizeof hash > left || !read_at(f, offset + at, &hash, sizeof hash))
            return 0;
        most = (uint32_t)i;
    }
    return (size_t)most + 1;
}

static void read_symbols(struct fo_elf_file *f)
{
    uint64_t offset, left;
    uint32_t head[2];
    size_t count = count_hashed(f);

    if (count == 0 && value_of(f, DT_HASH) != 0 &&
        offset_of(f, value_of(f, DT_HASH), &offset, &left) && left >= sizeof head &&
        read_at(f, offset, head, sizeof head))
        count = head[1];
    if (count == 0 || !offset_of(f, value_of(f, DT_SYMTAB), &offset, &left) ||
        count > left / sizeof(Elf64_Sym))
        return;
    f->symbols = copy_at(f, offset, count * sizeof(Elf64_Sym));
    f->symbol_count = f->symbols != NULL ? count : 0;
}

bool fo_elf_file_read(struct fo_elf_file *f, const char *path)
{
    struct stat status;

    *f = (struct fo_elf_file){.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
    if (f->fd < 0)
        return false;
    errno = 0;
    if (fstat(f->fd, &status) != 0)
        return false;
    if (S_ISREG(status.st_mode))
        f->size = (uint64_t)status.st_size;
    bool whole = read_headers(f) && read_dynamic(f);
    if (whole)
        read_symbols(f);
    errno = 0;
    return whole;
}

void fo_elf_file_free(struct fo_elf_file *f)
{
    int error = errno;

    if (f->fd >= 0)
        close(f->fd);
    free(f->headers);
    free(f->dynamic);
    free(f->strings);
    free(f->symbols);
    *f = (struct fo_elf_file){.fd = -1};
    errno = error;
}

const char *fo_elf_file_next(const struct fo_elf_file *f, int64_t tag, size_t *at)
{
    while (*at < f->dynamic_count) {
        const Elf64_Dyn *d = &f->dynamic[(*at)++];
        if (d->d_tag == tag && d->d_un.d_val < f->strings_size)
            return f->strings + d->d_un.d_val;
    }
    return NULL;
}

static const Elf64_Sym *find(const struct fo_elf_file *f, const char *name, bool defined)
{
    for (size_t i = 0; i < f->symbol_count; i++) {
        const Elf64_Sym *s = &f->symbols[i];
        if ((s->st_shndx != SHN_UNDEF) == defined && s->st_name < f->strings_size &&
            strcmp(f->strings + s->st_name, name) == 0)
            return s;
    }
    return NULL;
}

bool fo_elf_file_defines(const struct fo_elf_file *f, const char *name)
{
    return find(f, name, true) != NULL;
}

bool fo_elf_file_imports(const struct fo_elf_file *f, const char *name)
{
    return find(f, name, false) != NULL;
}

bool fo_elf_file_names(const struct fo_elf_file *f, const char *text)
{
    return f->strings != NULL &&
           memmem(f->strings, f->strings_size, text, strlen(text) + 1) != NULL;
}

bool fo_elf_file_text(const struct fo_elf_file *f, const char *name, char *out, size_t size)
{
    const Elf64_Sym *s = find(f, name, true);
    uint64_t offset, left;

    if (s == NULL || s->st_size == 0 || s->st_size > size ||
        !offset_of(f, s->st_value, &offset, &left) || s->st_size > left ||
        !read_at(f, offset, out, (size_t)s->st_size))
        return false;
    out[s->st_size - 1] = '\0';
    return true;
}

bool fo_elf_file_holds(const struct fo_elf_file *f, const char *bytes)
{
    size_t overlap = strlen(bytes) - 1, step = CHUNK - overlap;
    uint64_t end = f->size < SEARCH_MAX ? f->size : SEARCH_MAX;
    char *chunk = malloc(CHUNK);
    bool found = false;

    for (uint64_t at = 0; chunk != NULL && !found && at < end; at += step) {
        size_t size = end - at < CHUNK ? (size_t)(end - at) : CHUNK;
        if (!read_at(f, at, chunk, size))
            break;
        found = memmem(chunk, size, bytes, overlap + 1) != NULL;
    }
    free(chunk);
    return found;
}
