/* See json_parts.h. */
#include "cli/output/json_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cli/model/clean.h"
#include "cli/exit.h"
#include "cli/message.h"

static void *need(void *value)
{
    if (value == NULL) {
        fo_error("no memory for the output as JSON");
        exit(FO_EXIT_SOFTWARE);
    }
    return value;
}

json_t *fo_json_text(const char *text)
{
    char *clean;
    json_t *value;

    if (text == NULL)
        return json_null();
    clean = fo_clean_copy(text);
    value = need(json_string(clean));
    free(clean);
    return value;
}

json_t *fo_json_number(uint64_t number)
{
    return need(json_integer(number > INT64_MAX ? INT64_MAX : (json_int_t)number));
}

json_t *fo_json_known(uint64_t number)
{
    return number != 0 ? fo_json_number(number) : json_null();
}

json_t *fo_json_address(uint64_t number)
{
    char text[32];

    if (number == 0)
        return json_null();
    snprintf(text, sizeof text, "%#" PRIx64, number);
    return fo_json_text(text);
}

json_t *fo_json_time(uint64_t time)
{
    time_t seconds = (time_t)(time / 1000000000);
    struct tm parts;
    char day[64], text[96];

    if (time == 0 || gmtime_r(&seconds, &parts) == NULL)
        return json_null();
    strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text, sizeof text, "%s.%09uZ", day, (unsigned)(time % 1000000000));
    return fo_json_text(text);
}

json_t *fo_json_object(void)
{
    return need(json_object());
}

json_t *fo_json_array(void)
{
    return need(json_array());
}

void fo_json_set(json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) != 0)
        need(NULL);
}

void fo_json_add(json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) != 0)
        need(NULL);
}
