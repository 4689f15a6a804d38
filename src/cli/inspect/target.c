/* See target.h.  The description is found by the note of the library's file, which the dynamic
 * linker has mapped with the file's beginning; that the file is gone by now, or lies in another
 * root directory, does not matter. */
#include "cli/inspect/target.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/block.h"
#include "cli/exit.h"
#include "cli/inspect/check.h"
#include "cli/message.h"
#include "cli/model/clean.h"

enum { HEADERS_MOST = 64, NOTES_MOST = 4096 };

/* --- the note ----------------------------------------------------------------------------------
 */

static size_t padded(size_t size, uint64_t alignment)
{
    return alignment == 8 ? (size + 7) & ~(size_t)7 : (size + 3) & ~(size_t)3;
}

/* Where in the notes the second word of ours is; 0: there is none. */
static size_t find_note(const char *notes, size_t size, uint64_t alignment)
{
    Elf64_Nhdr n;

    for (size_t at = 0; at + sizeof n <= size;) {
        memcpy(&n, notes + at, sizeof n);
        size_t name = at + sizeof n, content = name + padded(n.n_namesz, alignment),
               end = content + padded(n.n_descsz, alignment);
        if (n.n_namesz > size || n.n_descsz > size || content + n.n_descsz > size)
            return 0;
        if (n.n_type == FO_NOTE_DESCRIPTION && n.n_namesz == sizeof FO_NOTE_NAME &&
            n.n_descsz == 2 * sizeof(uint32_t) &&
            memcmp(notes + name, FO_NOTE_NAME, sizeof FO_NOTE_NAME) == 0)
            return content + sizeof(uint32_t);
        at = end;
    }
    return 0;
}

/* The address of the description, by this segment of notes; 0: it says nothing of one. */
static uint64_t by_notes(struct fo_source *s, uint64_t bias, const Elf64_Phdr *segment)
{
    char notes[NOTES_MOST];
    size_t size = segment->p_filesz < sizeof notes ? segment->p_filesz : sizeof notes;
    uint64_t address = bias + segment->p_vaddr;
    int32_t distance;

    if (!fo_source_read(s, address, notes, size))
        return 0;
    size_t at = find_note(notes, size, segment->p_align);
    if (at == 0)
        return 0;
    memcpy(&distance, notes + at, sizeof distance);
    return address + at + (uint64_t)(int64_t)distance;
}

/* Of the ELF file whose beginning is mapped here. */
static uint64_t description_of(struct fo_source *s, uint64_t start)
{
    Elf64_Ehdr header;
    Elf64_Phdr segments[HEADERS_MOST];
    uint64_t bias = start, found = 0;

    if (!fo_source_read(s, start, &header, sizeof header) ||
        memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
        header.e_phentsize != sizeof segments[0] || header.e_phnum > HEADERS_MOST ||
        header.e_phoff > NOTES_MOST ||
        !fo_source_read(s, start + header.e_phoff, segments, header.e_phnum * sizeof segments[0]))
        return 0;
    for (unsigned i = 0; i < header.e_phnum; i++)
        if (segments[i].p_type == PT_LOAD && segments[i].p_offset == 0)
            bias = start - segments[i].p_vaddr;
    for (unsigned i = 0; i < header.e_phnum && found == 0; i++)
        if (segments[i].p_type == PT_NOTE)
            found = by_notes(s, bias, &segments[i]);
    return found;
}

static enum fo_target_found find_description(struct fo_target *t)
{
    struct fo_source *s = t->source;
    uint64_t at = 0;
    bool by_name = false;

    for (size_t i = 0; i < s->mapping_count && at == 0; i++) {
        const struct fo_source_mapping *m = &s->mappings[i];
        if (m->offset != 0 || !m->readable || *m->file == '\0')
            continue;
        by_name |= strstr(m->file, "/libfreeonce.so") != NULL;
        at = description_of(s, m->start);
        t->library = m->file;
    }
    if (at == 0)
        return s->why == EPERM || s->why == ESRCH ? FO_TARGET_UNREADABLE
               : by_name                          ? FO_TARGET_OLDER
                                                  : FO_TARGET_NO_LIBRARY;
    struct fo_description *d = &t->d;
    if (!fo_source_read(s, at, d, offsetof(struct fo_description, hot)))
        return FO_TARGET_DAMAGED;
    if (memcmp(d->magic, FO_DESCRIPTION_MAGIC, sizeof d->magic) != 0)
        return FO_TARGET_DAMAGED;
    d->library[sizeof d->library - 1] = '\0';
    fo_clean(d->library, d->library);
    if (d->version != FO_DESCRIPTION_VERSION)
        return FO_TARGET_OTHER;
    char library[sizeof d->library];
    memcpy(library, d->library, sizeof library);
    if (d->size != sizeof *d || !fo_source_read(s, at, d, sizeof *d) || !fo_description_is_sound(d))
        return FO_TARGET_DAMAGED;
    memcpy(d->library, library, sizeof library);
    return FO_TARGET_FOUND;
}

/* --- numbers -----------------------------------------------------------------------------------
 */

uint64_t fo_target_number_in(const void *copy, const struct fo_field *field)
{
    const char *at = (const char *)copy + field->offset;
    uint8_t n8;
    uint16_t n16;
    uint32_t n32;
    uint64_t n64;

    switch (field->size) {
    case 1:
        memcpy(&n8, at, sizeof n8);
        return n8;
    case 2:
        memcpy(&n16, at, sizeof n16);
        return n16;
    case 4:
        memcpy(&n32, at, sizeof n32);
        return n32;
    default:
        memcpy(&n64, at, sizeof n64);
        return n64;
    }
}

uint64_t fo_target_findings(struct fo_target *t)
{
    const struct fo_field pointer = {0, sizeof(uint64_t)};
    uint64_t table;

    return fo_target_number(t, t->d.findings, &pointer, &table) ? table : 0;
}

void fo_target_findings_read(struct fo_target *t, uint64_t table,
                             void (*each)(void *data, uint64_t key, uint64_t count), void *data)
{
    const struct fo_rows *rows = &t->d.in_findings.rows;
    size_t size = (size_t)rows->count * rows->stride;
    char *copy = malloc(size);

    if (copy != NULL && fo_source_read(t->source, table + rows->offset, copy, size))
        for (const char *row = copy; row < copy + size; row += rows->stride) {
            uint64_t key = fo_target_number_in(row, &t->d.in_findings.key);
            if (key != 0)
                each(data, key, fo_target_number_in(row, &t->d.in_findings.count));
        }
    free(copy);
}

bool fo_target_number(struct fo_target *t, uint64_t address, const struct fo_field *field,
                      uint64_t *out)
{
    static const struct fo_field sizes[] = {{0, 1}, {0, 2}, {0, 4}, {0, 8}};
    uint64_t copy = 0;

    *out = 0;
    if (!fo_source_read(t->source, address + field->offset, &copy, field->size))
        return false;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        if (sizes[i].size == field->size)
            *out = fo_target_number_in(&copy, &sizes[i]);
    return true;
}

static bool read_hot(struct fo_target *t)
{
    const struct fo_description *d = &t->d;
    uint64_t direct, shared, guard, page, row = 0;

    if (!fo_target_number(t, d->hot, &d->in_hot.secret, &t->secret) ||
        !fo_target_number(t, d->hot, &d->in_hot.direct, &direct) ||
        !fo_target_number(t, d->hot, &d->in_hot.shared, &shared) ||
        !fo_target_number(t, d->hot, &d->in_hot.guard, &guard) ||
        !fo_target_number(t, d->hot, &d->in_hot.entered, &t->registry) ||
        !fo_target_number(t, d->hot, &d->in_hot.tree, &t->tree) ||
        !fo_target_number(t, d->hot, &d->in_hot.process, &page))
        return false;
    t->direct = direct != 0;
    t->shared = shared != 0;
    t->guard = guard != 0;
    if (fo_target_number(t, page, &d->process_row, &row) && row < d->processes.count)
        t->row = (uint32_t)row;
    return true;
}

static bool read_heap(struct fo_target *t)
{
    const struct fo_description *d = &t->d;
    const struct fo_field pointer = {0, sizeof(uint64_t)};
    uint64_t pages, page_count, shared;

    if (!fo_target_number(t, d->region, &pointer, &t->region))
        return false;
    if (t->region == 0)
        return true;
    if (!fo_target_number(t, d->layout, &d->in_layout.base, &t->base) ||
        !fo_target_number(t, d->layout, &d->in_layout.key, &t->key) ||
        !fo_target_number(t, d->layout, &d->in_layout.shared, &shared) ||
        !fo_target_number(t, d->layout, &d->in_layout.page_count, &page_count) ||
        !fo_target_number(t, t->region, &d->region_committed, &t->committed) ||
        !fo_target_number(t, t->region, &d->region_pages, &pages))
        return false;
    uint64_t most = (uint64_t)d->in_layout.groups.count * d->in_group.pages.count;
    t->is_shared_heap = shared != 0;
    t->page_count = (uint32_t)(page_count < most ? page_count : most);
    t->pages = (uint32_t)(pages < t->page_count ? pages : t->page_count);
    most = (uint64_t)t->page_count << d->value.page_shift;
    t->committed = (t->committed < most ? t->committed : most) & ~UINT64_C(4095);
    return true;
}

enum fo_target_found fo_target_find(struct fo_target *t, struct fo_source *s)
{
    *t = (struct fo_target){.source = s};
    enum fo_target_found found = find_description(t);

    if (found != FO_TARGET_FOUND)
        return found;
    if (read_hot(t) && read_heap(t))
        return FO_TARGET_FOUND;
    return s->why == EPERM || s->why == ESRCH ? FO_TARGET_UNREADABLE : FO_TARGET_DAMAGED;
}

int fo_target_explain(const struct fo_target *t, enum fo_target_found found)
{
    const struct fo_source *s = t->source;

    switch (found) {
    case FO_TARGET_FOUND:
        return FO_EXIT_OK;
    case FO_TARGET_NO_LIBRARY:
        fo_error("%s has no libfreeonce", fo_source_words(s));
        return FO_EXIT_DATA;
    case FO_TARGET_OLDER:
        fo_error("%s: its libfreeonce is older than this command, and describes "
                 "nothing; use the library and the command of one package",
                 fo_source_words(s));
        return FO_EXIT_DATA;
    case FO_TARGET_OTHER:
        fo_error("%s: its libfreeonce %s describes itself in version %u, and this "
                 "command reads version %d; use the command of the same package",
                 fo_source_words(s), t->d.library, t->d.version, FO_DESCRIPTION_VERSION);
        return FO_EXIT_DATA;
    case FO_TARGET_DAMAGED:
        fo_error("%s: what its libfreeonce says of itself is damaged", fo_source_words(s));
        return FO_EXIT_DATA;
    default:
        return fo_source_explain(s);
    }
}

/* --- words -------------------------------------------------------------------------------------
 */

void fo_target_process(struct fo_target *t, uint32_t row, struct fo_target_process *out)
{
    const struct fo_description *d = &t->d;
    uint64_t at = t->tree + d->processes.offset + (uint64_t)row * d->processes.stride, pid, parent;
    size_t length = d->in_process.name.count < sizeof out->name - 1 ? d->in_process.name.count
                                                                    : sizeof out->name - 1;

    *out = (struct fo_target_process){.name = "?"};
    if (row == 0 || row >= d->processes.count || t->tree == 0 ||
        !fo_target_number(t, at, &d->in_process.pid, &pid) ||
        !fo_target_number(t, at, &d->in_process.parent, &parent))
        return;
    out->pid = (uint32_t)pid;
    out->parent = parent < d->processes.count ? (uint32_t)parent : 0;
    if (!fo_source_read(t->source, at + d->in_process.name.offset, out->name, length))
        snprintf(out->name, sizeof out->name, "?");
    out->name[length] = '\0';
    fo_clean(out->name, out->name);
}

void fo_target_site(struct fo_target *t, uint64_t site, char text[FO_SITE_TEXT])
{
    char file[FO_SITE_TEXT - 16];
    const char *shown = file;

    if (!fo_source_text(t->source, (uintptr_t)fo_site_file(site), file, sizeof file)) {
        snprintf(text, FO_SITE_TEXT, "?");
        return;
    }
    while (strncmp(shown, "../", 3) == 0) /* Debian builds OpenSSL beside its source */
        shown += 3;
    snprintf(text, FO_SITE_TEXT, "%s:%d", shown, fo_site_line(site));
}
