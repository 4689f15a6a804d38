/* Writes one XML document: elements, attributes and text, each element on a line of its own.  What
 * no XML 1.0 document may hold, control characters and bytes that are no UTF-8, is written as '?'.
 * Write errors are found by the caller with ferror(). */
#ifndef FO_CLI_OUTPUT_XML_H
#define FO_CLI_OUTPUT_XML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { FO_XML_DEPTH = 8 };

struct fo_xml {
    FILE *out;
    const char *open[FO_XML_DEPTH]; /* the elements that are not ended */
    unsigned depth;
    bool in_tag;   /* the last one may get attributes */
    bool has_text; /* it has text, and ends on the same line */
};

void fo_xml_start(struct fo_xml *xml, const char *element);
void fo_xml_attribute(struct fo_xml *xml, const char *name, const char *value);
void fo_xml_number(struct fo_xml *xml, const char *name, size_t value);
void fo_xml_text(struct fo_xml *xml, const char *text);
void fo_xml_end(struct fo_xml *xml);

#endif
