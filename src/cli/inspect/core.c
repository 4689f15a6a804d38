/* A core file as a source (core(5)): segments of memory, and a note that says which files were
 * mapped where.  What the kernel leaves out of it, the unchanged pages of files, is read from those
 * files, if they are the same still.  See source.h. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/exit.h"
#include "cli/inspect/source.h"
#include "cli/message.h"
#include "cli/model/clean.h"
#include "cli/symbols/trusted_file.h"

enum { SEGMENTS_MOST = 1 << 18, NOTE_MOST = 1 << 24, FILES_MOST = 64, BEGINNING = 4096 };

/* A segment, in the order of addresses; as many as there are mappings. */
struct segment {
    uint64_t size, offset; /* of its bytes in the core file */
};

struct fo_core {
    int fd;
    const char *path;
    struct segment *segments;
    struct file {
        const char *name; /* of the mappings */
        int fd;           /* -1: it is not there, or another one by now */
    } files[FILES_MOST];
    size_t file_count;
};

static bool read_all(int fd, void *out, size_t size, uint64_t offset)
{
    size_t used = 0;

    while (used < size && offset < INT64_MAX) {
        ssize_t n = pread(fd, (char *)out + used, size - used, (off_t)(offset + used));
        if (n <= 0)
            return false;
        used += (size_t)n;
    }
    return used == size;
}

/* --- memory that the kernel has left out -------------------------------------------------------
 */

static size_t read_segments(struct fo_source *s, uint64_t address, void *out, size_t size);

/* Its first page has its build-id, and lies in the core file. */
static bool is_same(struct fo_source *s, const char *name, int fd)
{
    char in_core[BEGINNING], in_file[BEGINNING];

    for (size_t i = 0; i < s->mapping_count; i++)
        if (s->mappings[i].file == name && s->mappings[i].offset == 0)
            return read_segments(s, s->mappings[i].start, in_core, BEGINNING) == BEGINNING &&
                   read_all(fd, in_file, BEGINNING, 0) && memcmp(in_core, in_file, BEGINNING) == 0;
    return false;
}

static int open_same(struct fo_source *s, const char *name)
{
    struct fo_trusted_file file;

    if (!fo_trusted_file_open(&file, name, false))
        return -1;
    if (is_same(s, name, file.fd))
        return file.fd;
    close(file.fd);
    return -1;
}

static int file_of(struct fo_source *s, const char *name)
{
    struct fo_core *c = s->core;

    for (size_t i = 0; i < c->file_count; i++)
        if (c->files[i].name == name)
            return c->files[i].fd;
    if (c->file_count == FILES_MOST)
        return -1;
    c->files[c->file_count] = (struct file){name, open_same(s, name)};
    return c->files[c->file_count++].fd;
}

static size_t read_file(struct fo_source *s, const struct fo_source_mapping *m, uint64_t address,
                        void *out, size_t size)
{
    if (m->writable || *m->file == '\0' || address + size > m->end)
        return 0;
    int fd = file_of(s, m->file);
    return fd >= 0 && read_all(fd, out, size, m->offset + (address - m->start)) ? size : 0;
}

/* --- reading -----------------------------------------------------------------------------------
 */

static size_t read_segments(struct fo_source *s, uint64_t address, void *out, size_t size)
{
    size_t used = 0;

    s->why = EFAULT;
    while (used < size) {
        uint64_t at = address + used;
        const struct fo_source_mapping *m = fo_source_mapping_at(s, at);
        if (m == NULL)
            break;
        const struct segment *g = &s->core->segments[m - s->mappings];
        uint64_t skipped = at - m->start, there = g->size > skipped ? g->size - skipped : 0;
        size_t n = size - used < there ? size - used : (size_t)there;
        if (n == 0 || !read_all(s->core->fd, (char *)out + used, n, g->offset + skipped))
            break;
        used += n;
    }
    return used;
}

static size_t read_memory(struct fo_source *s, uint64_t address, void *out, size_t size)
{
    size_t used = read_segments(s, address, out, size);
    const struct fo_source_mapping *m = fo_source_mapping_at(s, address);

    return used == size || m == NULL ? used : read_file(s, m, address, out, size);
}

static size_t read_pieces(struct fo_source *s, const uint64_t *addresses, size_t count, void *out,
                          size_t size)
{
    size_t n = 0;

    while (n < count && read_segments(s, addresses[n], (char *)out + n * size, size) == size)
        n++;
    return n;
}

/* --- notes -------------------------------------------------------------------------------------
 */

static struct fo_source_mapping *mapping_from(struct fo_source *s, uint64_t start)
{
    struct fo_source_mapping *m = (struct fo_source_mapping *)fo_source_mapping_at(s, start);

    return m != NULL && m->start == start ? m : NULL;
}

/* A count and the size of a page; then start, end and page in the file of each; then the names. */
static void take_files(struct fo_source *s, const char *note, size_t size)
{
    uint64_t head[2], row[3];
    const char *before = "";

    if (size < sizeof head)
        return;
    memcpy(head, note, sizeof head);
    if (head[0] > (size - sizeof head) / sizeof row || head[1] > 1 << 20)
        return;
    const char *name = note + sizeof head + head[0] * sizeof row, *end = note + size;
    for (uint64_t i = 0; i < head[0]; i++) {
        size_t length = strnlen(name, (size_t)(end - name));
        memcpy(row, note + sizeof head + i * sizeof row, sizeof row);
        if (name + length == end)
            return;
        struct fo_source_mapping *m = mapping_from(s, row[0]);
        if (m != NULL && *m->file == '\0' && *name == '/') {
            const char *copy = strcmp(name, before) == 0 ? before : strdup(name);
            m->file = copy != NULL ? copy : "";
            m->offset = row[2] * head[1];
            before = m->file;
        }
        name += length + 1;
    }
}

static void take_process(struct fo_source *s, const char *note, size_t size)
{
    struct elf_prpsinfo info;

    if (size < sizeof info)
        return;
    memcpy(&info, note, sizeof info);
    s->pid = info.pr_pid;
    snprintf(s->name, sizeof s->name, "%.*s", (int)sizeof info.pr_fname, info.pr_fname);
    fo_clean(s->name, s->name);
}

static void take_notes(struct fo_source *s, const char *notes, size_t size)
{
    Elf64_Nhdr n;

    for (size_t at = 0; at + sizeof n <= size;) {
        memcpy(&n, notes + at, sizeof n);
        uint64_t name = at + sizeof n, content = name + ((n.n_namesz + UINT64_C(3)) & ~UINT64_C(3)),
                 end = content + ((n.n_descsz + UINT64_C(3)) & ~UINT64_C(3));
        if (end > size)
            return;
        if (n.n_namesz == sizeof "CORE" && memcmp(notes + name, "CORE", sizeof "CORE") == 0) {
            if (n.n_type == NT_PRPSINFO)
                take_process(s, notes + content, n.n_descsz);
            else if (n.n_type == NT_FILE)
                take_files(s, notes + content, n.n_descsz);
        }
        at = end;
    }
}

static bool read_notes(struct fo_source *s, const Elf64_Phdr *segment)
{
    size_t size = segment->p_filesz < NOTE_MOST ? segment->p_filesz : NOTE_MOST;
    char *notes = malloc(size + 1);
    bool was_read = notes != NULL && read_all(s->core->fd, notes, size, segment->p_offset);

    if (was_read)
        take_notes(s, notes, size);
    free(notes);
    return was_read;
}

/* --- start -------------------------------------------------------------------------------------
 */

static bool add_segment(struct fo_source *s, const Elf64_Phdr *p)
{
    struct fo_source_mapping *last =
        s->mapping_count != 0 ? &s->mappings[s->mapping_count - 1] : NULL;

    if (p->p_memsz == 0 || p->p_vaddr + p->p_memsz < p->p_vaddr)
        return true;
    if (last != NULL && p->p_vaddr < last->end) /* the kernel writes them in order */
        return false;
    s->core->segments[s->mapping_count] =
        (struct segment){p->p_filesz < p->p_memsz ? p->p_filesz : p->p_memsz, p->p_offset};
    s->mappings[s->mapping_count++] = (struct fo_source_mapping){
        .start = p->p_vaddr,
        .end = p->p_vaddr + p->p_memsz,
        .offset = UINT64_MAX,
        .readable = true,
        .writable = (p->p_flags & PF_W) != 0,
        .file = "",
    };
    return true;
}

/* More segments than the header has room for: the first section says how many. */
static uint64_t count_segments(struct fo_source *s, const Elf64_Ehdr *header)
{
    Elf64_Shdr first;

    if (header->e_phnum != PN_XNUM)
        return header->e_phnum;
    return read_all(s->core->fd, &first, sizeof first, header->e_shoff) ? first.sh_info : 0;
}

static bool read_core(struct fo_source *s)
{
    Elf64_Ehdr header;

    if (!read_all(s->core->fd, &header, sizeof header, 0) ||
        memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
        header.e_type != ET_CORE || header.e_phentsize != sizeof(Elf64_Phdr))
        return false;
    uint64_t count = count_segments(s, &header);
    if (count == 0 || count > SEGMENTS_MOST)
        return false;
    Elf64_Phdr *all = calloc(count, sizeof *all);
    s->mappings = calloc(count, sizeof *s->mappings);
    s->core->segments = calloc(count, sizeof *s->core->segments);
    bool sound = all != NULL && s->mappings != NULL && s->core->segments != NULL &&
                 read_all(s->core->fd, all, count * sizeof *all, header.e_phoff);
    for (uint64_t i = 0; i < count && sound; i++)
        sound = all[i].p_type != PT_LOAD || add_segment(s, &all[i]);
    for (uint64_t i = 0; i < count && sound; i++)
        sound = all[i].p_type != PT_NOTE || read_notes(s, &all[i]);
    free(all);
    return sound;
}

static void close_core(struct fo_source *s)
{
    for (size_t i = 0; i < s->core->file_count; i++)
        if (s->core->files[i].fd >= 0)
            close(s->core->files[i].fd);
    if (s->core->fd >= 0)
        close(s->core->fd);
    free(s->core->segments);
    free(s->core);
}

int fo_source_of_core(struct fo_source *s, const char *path)
{
    struct stat st;

    *s = (struct fo_source){
        .read = read_memory, .read_pieces = read_pieces, .close = close_core, .name = "?"};
    s->core = calloc(1, sizeof *s->core);
    if (s->core == NULL) {
        fo_error("no memory to read %s", path);
        return FO_EXIT_SOFTWARE;
    }
    s->core->path = path;
    s->core->fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (s->core->fd < 0 || fstat(s->core->fd, &st) != 0) {
        fo_error("%s: %s", path, strerror(errno));
        return FO_EXIT_NO_INPUT;
    }
    if (!S_ISREG(st.st_mode) || !read_core(s)) {
        fo_error("%s is no core file, or it is damaged", path);
        return FO_EXIT_DATA;
    }
    s->left = (UINT64_C(512) << 20) + 2 * (uint64_t)st.st_size;
    return FO_EXIT_OK;
}
