/* See reader.h.  No file is opened here: the command opens debug files, by its rules, and sends
 * their descriptors. */
#include "cli/symbols/reader.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwelf.h>
#include <elfutils/libdwfl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/model/source_path.h"
#include "cli/symbols/confine.h"
#include "cli/symbols/talk.h"

enum { BUILD_ID_MAX = 64 };

static void put_build_id(char text[2 * BUILD_ID_MAX + 1], const void *bits, ssize_t length)
{
    text[0] = '\0';
    for (ssize_t i = 0; i < length && i < BUILD_ID_MAX; i++)
        snprintf(text + 2 * i, 3, "%02x", ((const unsigned char *)bits)[i]);
}

static void put_build_id_of(char text[2 * BUILD_ID_MAX + 1], Elf *elf)
{
    const void *bits = NULL;
    ssize_t length = elf != NULL ? dwelf_elf_gnu_build_id(elf, &bits) : 0;

    put_build_id(text, bits, length);
}

/* The checksum of .gnu_debuglink. */
static uint32_t checksum(int file)
{
    unsigned char data[16384];
    uint32_t crc = ~UINT32_C(0);
    off_t at = 0;

    for (ssize_t n; (n = pread(file, data, sizeof data, at)) > 0; at += n)
        for (ssize_t i = 0; i < n; i++) {
            crc ^= data[i];
            for (int bit = 0; bit < 8; bit++)
                crc = crc >> 1 ^ (UINT32_C(0xedb88320) & -(crc & 1));
        }
    return ~crc;
}

struct debug_file {
    char build_id[2 * BUILD_ID_MAX + 1]; /* "": none; then the checksum is compared */
    GElf_Word crc;                       /* 0: none; then every file is accepted */
};

static bool is_wanted(const struct debug_file *wanted, int file)
{
    char build_id[2 * BUILD_ID_MAX + 1];

    if (wanted->build_id[0] == '\0')
        return wanted->crc == 0 || checksum(file) == wanted->crc;
    Elf *elf = elf_begin(file, ELF_C_READ_MMAP_PRIVATE, NULL);
    put_build_id_of(build_id, elf);
    elf_end(elf);
    return strcmp(build_id, wanted->build_id) == 0;
}

/* Ask for one candidate after the other, until one is right. */
static int ask_for_file(enum fo_talk_kind kind, const struct debug_file *wanted, const char *link)
{
    struct fo_talk_head head = {.kind = kind};

    while (fo_talk_send(FO_CONFINE_SOCKET, head, link, wanted->build_id)) {
        fo_confine_descriptors(1);
        int file = fo_talk_receive_file(FO_CONFINE_SOCKET, &head.number);
        fo_confine_descriptors(0);
        if (file < 0)
            return -1;
        if (is_wanted(wanted, file)) {
            fo_confine_add_memory(file);
            return file;
        }
        close(file);
    }
    return -1;
}

static int ask_for_debug(Elf *elf, const char *link, GElf_Word crc)
{
    struct debug_file wanted = {.crc = crc};

    put_build_id_of(wanted.build_id, elf);
    return ask_for_file(FO_TALK_WANT_DEBUG, &wanted, link);
}

/* The file that several debug files share (dwz). */
static int ask_for_alt(Dwfl_Module *module, const char *link)
{
    struct debug_file wanted = {.crc = 0};
    const char *name;
    const void *bits = NULL;
    Dwarf_Addr bias;
    Dwarf *dwarf = dwfl_module_getdwarf(module, &bias);

    put_build_id(wanted.build_id, bits,
                 dwarf != NULL ? dwelf_dwarf_gnu_debugaltlink(dwarf, &name, &bits) : 0);
    return wanted.build_id[0] != '\0' ? ask_for_file(FO_TALK_WANT_ALT, &wanted, link) : -1;
}

/* libdwfl calls this for the debug file of a module, and again for the shared file that this one
 * names.  The two calls differ only in the link, which is that of the module in the first. */
static int find_debug_file(Dwfl_Module *module, void **user_data, const char *name, Dwarf_Addr base,
                           const char *path, const char *link, GElf_Word crc, char **found)
{
    GElf_Word own_crc;
    GElf_Addr bias;
    Elf *elf = dwfl_module_getelf(module, &bias);

    (void)user_data, (void)name, (void)base, (void)path, (void)found;
    if (elf == NULL)
        return -1;
    if (link == NULL || link == dwelf_elf_gnu_debuglink(elf, &own_crc))
        return ask_for_debug(elf, link, crc);
    return ask_for_alt(module, link);
}

/* libdwfl has the module's file already. */
static int find_no_elf(Dwfl_Module *module, void **user_data, const char *name, Dwarf_Addr base,
                       char **path, Elf **elf)
{
    (void)module, (void)user_data, (void)name, (void)base, (void)path, (void)elf;
    return -1;
}

/* The name of the innermost function that was inlined here; NULL: none. */
static const char *inlined(Dwfl_Module *module, Dwarf_Addr pc)
{
    const char *name = NULL;
    Dwarf_Addr bias = 0;
    Dwarf_Die *unit = dwfl_module_addrdie(module, pc, &bias), *scopes = NULL;
    int count = unit != NULL ? dwarf_getscopes(unit, pc - bias, &scopes) : 0;

    for (int i = 0; i < count; i++) {
        int tag = dwarf_tag(&scopes[i]);
        if (tag == DW_TAG_inlined_subroutine)
            name = dwarf_diename(&scopes[i]);
        if (tag == DW_TAG_inlined_subroutine || tag == DW_TAG_subprogram)
            break;
    }
    free(scopes);
    return name;
}

static const char *function(Dwfl_Module *module, Dwarf_Addr pc)
{
    const char *name = inlined(module, pc);
    GElf_Off offset = 0;
    GElf_Sym symbol;

    if (name != NULL)
        return name;
    name = dwfl_module_addrinfo(module, pc, &offset, &symbol, NULL, NULL, NULL);
    /* The nearest symbol may be of another function, which ends before this address. */
    return name != NULL && (symbol.st_size == 0 || offset < symbol.st_size) ? name : NULL;
}

static void resolve(Dwfl_Module *module, GElf_Addr bias, uint32_t number, uint64_t address)
{
    Dwarf_Addr pc = address - 1 + bias; /* the call is before the address it returns to */
    const char *name = function(module, pc), *file = NULL;
    Dwfl_Line *at = dwfl_module_getsrc(module, pc);
    int line = 0;
    char *path = NULL;

    if (at != NULL)
        file = dwfl_lineinfo(at, NULL, &line, NULL, NULL, NULL);
    if (file != NULL && line > 0)
        path = fo_source_path(dwfl_line_comp_dir(at), file);
    if (name != NULL || path != NULL)
        fo_talk_send(FO_CONFINE_SOCKET,
                     (struct fo_talk_head){.kind = FO_TALK_ANSWER,
                                           .number = number,
                                           .line = path != NULL ? (unsigned)line : 0},
                     name, path);
    free(path);
}

/* Is this the file that was loaded?  A file without a build-id is, only if none was recorded. */
static bool is_same_build(Dwfl_Module *module, const char *recorded)
{
    char build_id[2 * BUILD_ID_MAX + 1];
    const unsigned char *bits = NULL;
    GElf_Addr address;
    int length = dwfl_module_build_id(module, &bits, &address);

    put_build_id(build_id, bits, length);
    return strcmp(build_id, recorded == NULL ? "" : recorded) == 0;
}

static void send_text(enum fo_talk_kind kind, const char *text)
{
    fo_talk_send(FO_CONFINE_SOCKET, (struct fo_talk_head){.kind = kind}, text, NULL);
}

/* libdw ignores a section that it cannot decompress, without an error. */
static void report_compressed(Elf *elf)
{
    static const char *const needed[] = {".debug_info", ".debug_abbrev", ".debug_line",
                                         ".debug_str"};
    size_t names = 0;
    GElf_Shdr head;
    char text[128];

    elf_getshdrstrndx(elf, &names);
    for (Elf_Scn *section = NULL; (section = elf_nextscn(elf, section)) != NULL;) {
        const char *name = NULL;
        if (gelf_getshdr(section, &head) != NULL && (head.sh_flags & SHF_COMPRESSED) != 0)
            name = elf_strptr(elf, names, head.sh_name);
        for (size_t i = 0; name != NULL && i < sizeof needed / sizeof needed[0]; i++)
            if (strcmp(name, needed[i]) == 0) {
                snprintf(text, sizeof text, "its %s cannot be decompressed in %lu MiB of memory",
                         name, fo_confine_memory() >> 20);
                send_text(FO_TALK_COMPLAINT, text);
                return;
            }
    }
}

static void resolve_all(Dwfl_Module *module, const struct fo_symbols_wanted *wanted)
{
    GElf_Addr bias = 0;
    Elf *elf = dwfl_module_getelf(module, &bias);

    if (elf == NULL || !is_same_build(module, wanted->codes[0]->build_id))
        return;
    Dwarf *dwarf = dwfl_module_getdwarf(module, &(Dwarf_Addr){0});
    report_compressed(dwarf != NULL ? dwarf_getelf(dwarf) : elf);
    for (size_t i = 0; i < wanted->count; i++)
        if (!fo_symbols_is_repeated(wanted, i))
            resolve(module, bias, (uint32_t)i, wanted->codes[i]->address);
}

static void read_file(const struct fo_symbols_wanted *wanted)
{
    static const Dwfl_Callbacks callbacks = {
        .find_elf = find_no_elf,
        .find_debuginfo = find_debug_file,
        .section_address = dwfl_offline_section_address,
    };
    const char *path = wanted->codes[0]->module;
    Dwfl *dwfl = dwfl_begin(&callbacks);

    if (dwfl == NULL)
        return;
    dwfl_report_begin(dwfl);
    Dwfl_Module *module = dwfl_report_offline(dwfl, path, path, FO_CONFINE_FILE);
    dwfl_report_end(dwfl, NULL, NULL);
    if (module != NULL)
        resolve_all(module, wanted);
}

_Noreturn void fo_reader_run(const struct fo_symbols_wanted *wanted, int socket, int file)
{
    const char *refused = fo_confine(socket, file);

    elf_version(EV_CURRENT);
    if (refused != NULL)
        send_text(FO_TALK_REFUSED, refused);
    else
        read_file(wanted);
    send_text(FO_TALK_END, NULL);
    _exit(0);
}
