/* As much JSON as the protocol needs: a text becomes a tree, whose nodes live until the end. */
#ifndef JSON_H
#define JSON_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct json {
    char type; /* '{' '[' '"' '0' or 'w' for a word: true, false, null */
    char *name; /* in an object */
    char *text; /* of a string or a word */
    uint64_t number;
    struct json *first, *next;
} json;

static void json_space(char **at)
{
    while (**at == ' ' || **at == '\n' || **at == '\t' || **at == '\r')
        ++*at;
}

/* What the protocol writes into strings here are names and paths: \" \\ \/ are all the escapes. */
static char *json_string(char **at)
{
    if (*(*at)++ != '"')
        return NULL;
    char *text = malloc(strlen(*at) + 1), *to = text;
    while (**at && **at != '"') {
        if (**at == '\\')
            ++*at;
        *to++ = *(*at)++;
    }
    *to = 0;
    return *(*at)++ == '"' ? text : NULL;
}

static json *json_parse(char **at)
{
    json *node = calloc(1, sizeof *node), **last = &node->first;
    json_space(at);
    if (**at == '{' || **at == '[') {
        node->type = *(*at)++;
        char end = node->type == '{' ? '}' : ']';
        json_space(at);
        while (**at != end) {
            char *name = NULL;
            if (node->type == '{') {
                name = json_string(at);
                json_space(at);
                if (!name || *(*at)++ != ':')
                    return NULL;
            }
            if (!(*last = json_parse(at)))
                return NULL;
            (*last)->name = name;
            last = &(*last)->next;
            json_space(at);
            if (**at == ',')
                ++*at;
            else if (**at != end)
                return NULL;
            json_space(at);
        }
        ++*at;
    } else if (**at == '"') {
        node->type = '"';
        node->text = json_string(at);
        return node->text ? node : NULL;
    } else if (**at >= '0' && **at <= '9') {
        node->type = '0';
        node->number = strtoull(*at, at, 10);
    } else {
        size_t length = strspn(*at, "abcdefghijklmnopqrstuvwxyz");
        node->type = 'w';
        node->text = strndup(*at, length);
        *at += length;
        return length ? node : NULL;
    }
    return node;
}

static inline json *json_read(const char *text)
{
    char *at = strdup(text);
    return json_parse(&at);
}

static inline json *json_get(const json *object, const char *name)
{
    json *member = object ? object->first : NULL;
    while (member && (!member->name || strcmp(member->name, name)))
        member = member->next;
    return member;
}

static inline json *json_at(const json *array, size_t index)
{
    json *item = array ? array->first : NULL;
    while (item && index--)
        item = item->next;
    return item;
}

static inline const char *json_text(const json *object, const char *name)
{
    json *member = json_get(object, name);
    return member && member->text ? member->text : "";
}

static inline uint64_t json_number(const json *object, const char *name)
{
    json *member = json_get(object, name);
    return member ? member->number : 0;
}

static inline int json_length(const json *array)
{
    int length = 0;
    for (json *item = array ? array->first : NULL; item; item = item->next)
        ++length;
    return length;
}

#endif
