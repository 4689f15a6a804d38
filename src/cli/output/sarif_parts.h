/* The parts of a SARIF log that sarif.c puts together. */
#ifndef FO_CLI_OUTPUT_SARIF_PARTS_H
#define FO_CLI_OUTPUT_SARIF_PARTS_H

#include "cli/output/json_parts.h"
#include "cli/model/model.h"

/* A message object; what SARIF gives a meaning in messages is escaped. */
json_t *fo_sarif_message(const char *text);

/* All kinds of findings, in the order of findings.def. */
json_t *fo_sarif_rules(void);

/* The index of a kind among them; -1: it is not one of this version's. */
int fo_sarif_rule_index(const char *kind);

/* Where SRCROOT is: the working directory.  And what OPENSSL is. */
json_t *fo_sarif_bases(void);

/* A location object for where to look first at this place. */
json_t *fo_sarif_location(const struct fo_place_shown *place);

/* A stack object; the place has frames. */
json_t *fo_sarif_stack(const struct fo_place_shown *place, const char *label);

#endif
