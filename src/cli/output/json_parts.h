/* JSON values for the formats that are JSON.  None of these is ever NULL: without memory the
 * command ends. */
#ifndef FO_CLI_OUTPUT_JSON_PARTS_H
#define FO_CLI_OUTPUT_JSON_PARTS_H

#include <jansson.h>
#include <stdint.h>

json_t *fo_json_text(const char *text);   /* null for NULL */
json_t *fo_json_number(uint64_t number);  /* at most what JSON readers take: 2^63-1 */
json_t *fo_json_known(uint64_t number);   /* null for 0 */
json_t *fo_json_address(uint64_t number); /* "0x..."; null for 0 */
json_t *fo_json_time(uint64_t time);      /* RFC 3339 with nanoseconds; null for 0 */
json_t *fo_json_object(void);
json_t *fo_json_array(void);

/* The container owns the value afterwards. */
void fo_json_set(json_t *object, const char *key, json_t *value);
void fo_json_add(json_t *array, json_t *value);

#endif
