/* The parts of a SARIF log that sarif.c puts together. */
#ifndef FO_CLI_OUTPUT_SARIF_PARTS_H
#define FO_CLI_OUTPUT_SARIF_PARTS_H

#include "cli/output/json_parts.h"
#include "cli/model/model.h"

/* A message object; SARIF's special characters are escaped. */
json_t *fo_sarif_message(const char *text);

/* All kinds of findings, in the order of findings.def. */
json_t *fo_sarif_rules(void);

/* The index of a kind among them; -1: this version does not know it. */
int fo_sarif_rule_index(const char *kind);

/* The base SRCROOT, which is the working directory, and the base OPENSSL. */
json_t *fo_sarif_bases(void);

/* A location object for the source line of this place to look at first. */
json_t *fo_sarif_location(const struct fo_place_shown *place);

/* A stack object; the place must have frames. */
json_t *fo_sarif_stack(const struct fo_place_shown *place, const char *label);

#endif
