/* SARIF's messages, locations and stacks.  The path of a file beneath the working directory is
 * relative to that (SRCROOT), that of an OpenSSL file to the root of OpenSSL's source (OPENSSL);
 * other paths are absolute. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/output/describe.h"
#include "cli/output/sarif_parts.h"
#include "cli/model/source_path.h"

/* Braces are SARIF's placeholders, brackets its links. */
json_t *fo_sarif_message(const char *text)
{
    struct fo_description_text escaped;
    json_t *message = fo_json_object(), *value;

    fo_describe_start(&escaped);
    for (const char *at = text; *at != '\0'; at++) {
        if (strchr("[]\\", *at) != NULL)
            fputc('\\', escaped.out);
        if (*at == '{' || *at == '}')
            fputc(*at, escaped.out);
        fputc(*at, escaped.out);
    }
    char *made = fo_describe_end(&escaped);
    value = json_string(made); /* with its line ends; NULL: it is not clean */
    fo_json_set(message, "text", value != NULL ? value : fo_json_text(made));
    free(made);
    return message;
}

/* Escaped by RFC 3986; the caller frees it. */
static char *uri(const char *before, const char *path, const char *after)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "-._~/";
    struct fo_description_text made;

    fo_describe_start(&made);
    fputs(before, made.out);
    for (; *path != '\0'; path++) {
        if (strchr(plain, *path) != NULL)
            fputc(*path, made.out);
        else
            fprintf(made.out, "%%%02X", (unsigned char)*path);
    }
    fputs(after, made.out);
    return fo_describe_end(&made);
}

static json_t *uri_text(const char *before, const char *path, const char *after)
{
    char *made = uri(before, path, after);
    json_t *value = fo_json_text(made);

    free(made);
    return value;
}

static const char *here(void)
{
    static char directory[4096];

    return getcwd(directory, sizeof directory);
}

json_t *fo_sarif_bases(void)
{
    json_t *bases = fo_json_object(), *root = fo_json_object(), *openssl = fo_json_object();
    const char *directory = here();

    if (directory != NULL)
        fo_json_set(root, "uri",
                    uri_text("file://", directory, strcmp(directory, "/") == 0 ? "" : "/"));
    fo_json_set(openssl, "description", fo_sarif_message("the source of the OpenSSL in use"));
    fo_json_set(bases, "SRCROOT", root);
    fo_json_set(bases, "OPENSSL", openssl);
    return bases;
}

static json_t *artifact(const char *file, bool openssl)
{
    json_t *value = fo_json_object();
    const char *beneath = fo_path_beneath(file, here());

    if (beneath != NULL)
        file = beneath;
    fo_json_set(value, "uri", uri_text(*file == '/' ? "file://" : "", file, ""));
    if (*file != '/')
        fo_json_set(value, "uriBaseId", fo_json_text(openssl ? "OPENSSL" : "SRCROOT"));
    return value;
}

/* Without a known source file, the program or library itself is the file. */
static json_t *location(const struct fo_location *at, const struct fo_code *code)
{
    json_t *value = fo_json_object(), *physical = fo_json_object(), *region;
    const char *file = at->file != NULL ? at->file : code->module;

    if (file != NULL) {
        fo_json_set(physical, "artifactLocation", artifact(file, at->openssl));
        if (at->file != NULL && at->line > 0) {
            region = fo_json_object();
            fo_json_set(region, "startLine", fo_json_number(at->line));
            fo_json_set(physical, "region", region);
        }
        fo_json_set(value, "physicalLocation", physical);
    } else {
        json_decref(physical);
    }
    if (at->function != NULL) {
        json_t *logical = fo_json_object(), *list = fo_json_array();
        fo_json_set(logical, "name", fo_json_text(at->function));
        fo_json_set(logical, "kind", fo_json_text("function"));
        fo_json_add(list, logical);
        fo_json_set(value, "logicalLocations", list);
    }
    return value;
}

json_t *fo_sarif_location(const struct fo_place_shown *place)
{
    struct fo_location at = fo_place_location(place);

    return location(&at, &place->caller);
}

static json_t *frame(const struct fo_code *code)
{
    struct fo_location at = {code->file, code->line, code->function, false};
    json_t *value = fo_json_object(), *where = location(&at, code);
    char text[32];

    snprintf(text, sizeof text, "%#" PRIx64, code->address);
    fo_json_set(where, "message", fo_sarif_message(text));
    fo_json_set(value, "location", where);
    if (code->module != NULL)
        fo_json_set(value, "module", fo_json_text(fo_describe_base(code->module)));
    return value;
}

json_t *fo_sarif_stack(const struct fo_place_shown *place, const char *label)
{
    json_t *stack = fo_json_object(), *frames = fo_json_array();

    for (size_t i = 0; i < place->frames; i++)
        fo_json_add(frames, frame(&place->stack[i]));
    fo_json_set(stack, "message", fo_sarif_message(label));
    fo_json_set(stack, "frames", frames);
    return stack;
}
