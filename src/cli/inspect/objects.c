/* See objects.h.  The answer for a site is remembered, since its name is read from the process. */
#include "cli/inspect/objects.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/exit.h"
#include "cli/message.h"

enum { HOW_MOST = 4096, REMEMBERED = 4096, DOUBT_MOST = 160 };

static const struct row {
    const char *version, *file;
    int line;
    uint64_t size;
    const char *name;
} table[] = {
#define FO_OBJECT_SITE(version, file, line, size, name) {version, file, line, size, name},
#include "cli/inspect/object_sites.def"
#undef FO_OBJECT_SITE
};
enum { ROWS = sizeof table / sizeof table[0] };

struct fo_objects {
    struct fo_target *target;
    size_t first, end; /* the rows of this version */
    char doubt[DOUBT_MOST];
    struct {
        uint64_t site;
        size_t row; /* the first one of the site; ROWS: none */
        bool is_quic;
    } remembered[REMEMBERED];
};

bool fo_object_version(const char *how, char version[FO_OBJECT_VERSION])
{
    static const char before[] = "OpenSSL ";

    *version = '\0';
    for (const char *at = how; (at = strstr(at, before)) != NULL;) {
        at += sizeof before - 1;
        size_t used = strspn(at, "0123456789.");
        if (used == 0 || used >= FO_OBJECT_VERSION)
            continue;
        if (*version != '\0' && (strncmp(version, at, used) != 0 || version[used] != '\0')) {
            *version = '\0';
            return false;
        }
        memcpy(version, at, used);
        version[used] = '\0';
    }
    return *version != '\0';
}

const char *fo_object_at(const char *version, const char *file, int line, uint64_t size)
{
    for (size_t i = 0; i < ROWS; i++)
        if (table[i].line == line && table[i].size == size && strcmp(table[i].file, file) == 0 &&
            strcmp(table[i].version, version) == 0)
            return table[i].name;
    return NULL;
}

static bool read_version(struct fo_target *t, char version[FO_OBJECT_VERSION])
{
    char how[HOW_MOST] = "";
    size_t length = t->d.how_text.count - 1;

    return length < sizeof how &&
           fo_source_read(t->source, t->d.how + t->d.how_text.offset, how, length) &&
           fo_object_version(how, version);
}

struct fo_objects *fo_objects_start(struct fo_target *t)
{
    struct fo_objects *o = calloc(1, sizeof *o);
    char version[FO_OBJECT_VERSION];

    if (o == NULL) {
        fo_error("no memory to tell objects apart");
        exit(FO_EXIT_SOFTWARE);
    }
    o->target = t;
    if (!read_version(t, version)) {
        snprintf(o->doubt, sizeof o->doubt,
                 "the version of OpenSSL is not known, or there are two: lines are shown");
        return o;
    }
    while (o->first < ROWS && strcmp(table[o->first].version, version) != 0)
        o->first++;
    for (o->end = o->first; o->end < ROWS && strcmp(table[o->end].version, version) == 0;)
        o->end++;
    if (o->first == ROWS)
        snprintf(o->doubt, sizeof o->doubt,
                 "the objects of OpenSSL %s are not known to this command: lines are shown",
                 version);
    return o;
}

void fo_objects_free(struct fo_objects *o)
{
    free(o);
}

const char *fo_objects_doubt(const struct fo_objects *o)
{
    return o != NULL && *o->doubt != '\0' ? o->doubt : NULL;
}

static size_t find_site(const struct fo_objects *o, uint64_t site, bool *is_quic)
{
    char text[FO_SITE_TEXT];

    *is_quic = false;
    fo_target_site(o->target, site, text);
    char *colon = strrchr(text, ':');
    if (colon == NULL)
        return ROWS;
    *colon = '\0';
    *is_quic = strncmp(text, "ssl/quic/", strlen("ssl/quic/")) == 0;
    int line = atoi(colon + 1);
    for (size_t i = o->first; i < o->end; i++)
        if (table[i].line == line && strcmp(table[i].file, text) == 0)
            return i;
    return ROWS;
}

static size_t remember(struct fo_objects *o, uint64_t site)
{
    size_t at = (size_t)(site * UINT64_C(0x9e3779b97f4a7c15) >> 40) % REMEMBERED;

    if (o->remembered[at].site != site || site == 0) {
        o->remembered[at].site = site;
        o->remembered[at].row = find_site(o, site, &o->remembered[at].is_quic);
    }
    return at;
}

bool fo_object_is_quic(struct fo_objects *o, uint64_t site)
{
    return o->remembered[remember(o, site)].is_quic;
}

uint64_t fo_object_key(struct fo_objects *o, uint64_t site, uint64_t size)
{
    size_t at = remember(o, site);

    for (size_t i = o->remembered[at].row; i < o->end; i++) {
        const struct row *first = &table[o->remembered[at].row];
        if (table[i].line != first->line || strcmp(table[i].file, first->file) != 0)
            break;
        if (table[i].size == size)
            return i + 1;
    }
    return site > ROWS ? site : UINT64_MAX;
}

const char *fo_object_name(uint64_t key)
{
    return key - 1 < ROWS ? table[key - 1].name : NULL;
}
