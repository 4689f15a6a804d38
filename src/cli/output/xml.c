/* See xml.h. */
#include "cli/output/xml.h"

#include <assert.h>
#include <string.h>

#include "base/format.h"

static void put(FILE *out, const char *text, bool lines)
{
    size_t left = strlen(text);

    for (size_t length; left > 0; text += length, left -= length) {
        length = fo_clean_length(text, left);
        if (length == 0) {
            length = 1;
            fputc(*text == '\n' && lines ? '\n' : '?', out);
        } else if (*text == '<') {
            fputs("&lt;", out);
        } else if (*text == '>') {
            fputs("&gt;", out);
        } else if (*text == '&') {
            fputs("&amp;", out);
        } else if (*text == '"') {
            fputs("&quot;", out);
        } else {
            fwrite(text, 1, length, out);
        }
    }
}

static void indent(const struct fo_xml *xml)
{
    fprintf(xml->out, "%*s", (int)xml->depth, "");
}

static void end_tag(struct fo_xml *xml, const char *rest)
{
    if (xml->in_tag)
        fputs(rest, xml->out);
    xml->in_tag = false;
}

void fo_xml_start(struct fo_xml *xml, const char *element)
{
    assert(xml->depth < FO_XML_DEPTH);
    if (xml->depth == 0)
        fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", xml->out);
    end_tag(xml, ">\n");
    indent(xml);
    fprintf(xml->out, "<%s", element);
    xml->open[xml->depth++] = element;
    xml->in_tag = true;
    xml->has_text = false;
}

void fo_xml_attribute(struct fo_xml *xml, const char *name, const char *value)
{
    fprintf(xml->out, " %s=\"", name);
    put(xml->out, value, false);
    fputc('"', xml->out);
}

void fo_xml_number(struct fo_xml *xml, const char *name, size_t value)
{
    fprintf(xml->out, " %s=\"%zu\"", name, value);
}

void fo_xml_text(struct fo_xml *xml, const char *text)
{
    end_tag(xml, ">");
    put(xml->out, text, true);
    xml->has_text = true;
}

void fo_xml_end(struct fo_xml *xml)
{
    const char *element = xml->open[--xml->depth];

    if (xml->in_tag) {
        end_tag(xml, "/>\n");
    } else {
        if (!xml->has_text)
            indent(xml);
        fprintf(xml->out, "</%s>\n", element);
    }
    xml->has_text = false;
}
