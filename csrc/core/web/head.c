/* SPDX-License-Identifier: MIT
 * Works line by line: memchr finds the end of a line, then the line is checked as a whole. A line that is not complete
 * is looked at only once, however many pieces it comes in. So the work is linear in the bytes. */
#include "core/web/head.h"

#include <string.h>

#include "core/web/syntax.h"

enum { BAD = 400, EXPECTATION = 417, TOO_LARGE = 431, NOT_IMPLEMENTED = 501, BAD_VERSION = 505, COMPLETE = 200 };

static struct braid_part part_of(const char *data, const char *from, const char *to) {
  return (struct braid_part){(uint32_t)(from - data), (uint32_t)(to - from)};
}

/* ---- the request line ----------------------------------------------------------------------------------------- */

/* Returns where the path of an absolute target begins; NULL: it is none. */
static const char *skip_authority(struct braid_head *head, const char *data, const char *target, const char *end) {
  size_t size = (size_t)(end - target);
  size_t scheme = size > 7 && braid_text_equals(target, 7, "http://")    ? 7
                  : size > 8 && braid_text_equals(target, 8, "https://") ? 8
                                                                         : 0;
  if (scheme == 0) return NULL;
  const char *from = target + scheme, *to = from;
  while (to < end && *to != '/' && *to != '?') to++;
  if (!braid_text_is_authority(from, (size_t)(to - from))) return NULL;
  head->authority = part_of(data, from, to);
  head->flags |= BRAID_HEAD_ABSOLUTE;
  return to;
}

static unsigned parse_target(struct braid_head *head, const char *data, const char *target, const char *end) {
  if (target == end || !braid_text_is(target, (size_t)(end - target), BRAID_CHAR_TARGET)) return BAD;
  head->target = part_of(data, target, end);
  if (*target == '*') {
    bool whole = end == target + 1 && head->method.size == 7 && memcmp(data + head->method.at, "OPTIONS", 7) == 0;
    return whole ? 0 : BAD;
  }
  const char *path = *target == '/' ? target : skip_authority(head, data, target, end);
  if (!path) return BAD;
  const char *mark = memchr(path, '?', (size_t)(end - path));
  head->path = part_of(data, path, mark ? mark : end);
  if (mark) head->query = part_of(data, mark + 1, end);
  return 0;
}

static unsigned parse_version(struct braid_head *head, const char *text, size_t size) {
  if (size != 8 || memcmp(text, "HTTP/", 5) != 0 || text[6] != '.') return BAD;
  bool digits = text[5] >= '0' && text[5] <= '9' && text[7] >= '0' && text[7] <= '9';
  if (!digits || text[5] == '0') return BAD;
  if (text[5] != '1') return BAD_VERSION;
  if (text[7] == '0') head->flags |= BRAID_HEAD_OLD;
  return 0;
}

static unsigned parse_request_line(struct braid_head *head, const char *data, const char *line, const char *end) {
  const char *blank = memchr(line, ' ', (size_t)(end - line));
  if (!blank || blank == line || !braid_text_is(line, (size_t)(blank - line), BRAID_CHAR_TOKEN)) return BAD;
  head->method = part_of(data, line, blank);
  const char *target = blank + 1, *second = memchr(target, ' ', (size_t)(end - target));
  if (!second) return BAD;
  unsigned refusal = parse_version(head, second + 1, (size_t)(end - second) - 1);
  return refusal ? refusal : parse_target(head, data, target, second);
}

/* ---- fields --------------------------------------------------------------------------------------------------- */

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

/* Splits a line without its end. False: the line is no field. */
static bool split(const char *line, const char *end, struct braid_field *field) {
  const char *colon = line;
  while (colon < end && braid_char_is(*colon, BRAID_CHAR_TOKEN)) colon++;
  if (colon == line || colon == end || *colon != ':') return false;
  const char *value = colon + 1;
  while (value < end && is_blank(*value)) value++;
  while (end > value && is_blank(end[-1])) end--;
  *field = (struct braid_field){line, value, (size_t)(colon - line), (size_t)(end - value)};
  return true;
}

/* Takes the next element of a list that is separated by commas. False at its end. */
static bool next_element(const char **at, const char *end, const char **element, size_t *size) {
  while (*at < end && (is_blank(**at) || **at == ',')) ++*at;
  if (*at == end) return false;
  *element = *at;
  while (*at < end && **at != ',') ++*at;
  const char *last = *at;
  while (is_blank(last[-1])) last--;
  *size = (size_t)(last - *element);
  return true;
}

static unsigned take_length(struct braid_head *head, const struct braid_field *field) {
  enum { MOST_DIGITS = 18 };
  if (head->flags & BRAID_HEAD_LENGTH || field->value_size == 0 || field->value_size > MOST_DIGITS) return BAD;
  head->flags |= BRAID_HEAD_LENGTH;
  for (size_t i = 0; i < field->value_size; i++) {
    char c = field->value[i];
    if (c < '0' || c > '9') return BAD;
    head->length = head->length * 10 + (uint64_t)(c - '0');
  }
  return 0;
}

/* The last coding has to be "chunked", and no other may be. What comes before it is understood by nobody here. */
static unsigned take_codings(struct braid_head *head, const struct braid_field *field) {
  const char *at = field->value, *end = at + field->value_size, *element;
  size_t size;
  bool any = false;
  head->codings = true;
  while (next_element(&at, end, &element, &size)) {
    any = true;
    if (head->flags & BRAID_HEAD_CHUNKED) return BAD;
    if (braid_text_equals(element, size, "chunked"))
      head->flags |= BRAID_HEAD_CHUNKED;
    else
      head->unknown = true;
  }
  return any ? 0 : BAD;
}

static unsigned take_connection(struct braid_head *head, const struct braid_field *field) {
  const char *at = field->value, *end = at + field->value_size, *element;
  size_t size;
  while (next_element(&at, end, &element, &size)) {
    if (braid_text_equals(element, size, "close")) head->flags |= BRAID_HEAD_CLOSE;
    if (braid_text_equals(element, size, "keep-alive")) head->flags |= BRAID_HEAD_KEEP;
    if (braid_text_equals(element, size, "upgrade")) head->flags |= BRAID_HEAD_UPGRADE;
  }
  return 0;
}

static unsigned take_host(struct braid_head *head, const struct braid_field *field) {
  if (head->flags & BRAID_HEAD_HOST || !braid_text_is_authority(field->value, field->value_size)) return BAD;
  head->flags |= BRAID_HEAD_HOST;
  return 0;
}

static unsigned take_expectation(struct braid_head *head, const struct braid_field *field) {
  if (!braid_text_equals(field->value, field->value_size, "100-continue")) return EXPECTATION;
  if (!(head->flags & BRAID_HEAD_OLD)) head->flags |= BRAID_HEAD_CONTINUE;
  return 0;
}

static unsigned parse_field(struct braid_head *head, const char *line, const char *end) {
  struct braid_field field;
  if (!split(line, end, &field) || !braid_text_is(field.value, field.value_size, BRAID_CHAR_VALUE)) return BAD;
  if (++head->count > BRAID_HEAD_MOST_FIELDS) return TOO_LARGE;
  static const struct {
    const char *name;
    unsigned (*take)(struct braid_head *head, const struct braid_field *field);
  } known[] = {{"host", take_host},
               {"connection", take_connection},
               {"content-length", take_length},
               {"transfer-encoding", take_codings},
               {"expect", take_expectation}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (braid_text_equals(field.name, field.name_size, known[i].name)) return known[i].take(head, &field);
  return 0;
}

/* What the fields say together. */
static unsigned conclude(const struct braid_head *head) {
  bool old = head->flags & BRAID_HEAD_OLD;
  if (!old && !(head->flags & BRAID_HEAD_HOST)) return BAD;
  if (head->codings) {
    if (old || head->flags & BRAID_HEAD_LENGTH || !(head->flags & BRAID_HEAD_CHUNKED)) return BAD;
    if (head->unknown) return NOT_IMPLEMENTED;
  }
  return COMPLETE;
}

/* ---- the whole ------------------------------------------------------------------------------------------------ */

/* `end`: behind the last byte of the line without its CR LF. */
static unsigned parse_line(struct braid_head *head, const char *data, const char *line, const char *end) {
  if (head->method.size == 0) {
    if (end > line) return parse_request_line(head, data, line, end);
    if (head->began) return BAD;
    head->began = true; /* RFC 9112 2.2: one empty line before a request is not the client's last word */
    return 0;
  }
  if (head->fields.at == 0) head->fields.at = (uint32_t)(line - data);
  head->fields.size = (uint32_t)(line - data) - head->fields.at;
  if (end > line) return parse_field(head, line, end);
  head->size = (uint32_t)(end + 2 - data);
  return conclude(head);
}

unsigned braid_head_parse(struct braid_head *head, const char *data, size_t size, size_t most) {
  size_t visible = size < most ? size : most;
  while (head->scanned < visible) {
    if (head->scanned == head->line && head->method.size == 0 && data[head->line] != '\r' &&
        !braid_char_is(data[head->line], BRAID_CHAR_TOKEN))
      return BAD; /* another protocol, which may never send an end of line */
    const char *end = memchr(data + head->scanned, '\n', visible - head->scanned);
    if (!end) {
      head->scanned = (uint32_t)visible;
      break;
    }
    const char *line = data + head->line;
    if (end == line || end[-1] != '\r') return BAD;
    unsigned outcome = parse_line(head, data, line, end - 1);
    if (outcome) return outcome;
    head->line = head->scanned = (uint32_t)(end + 1 - data);
  }
  return head->scanned >= most ? TOO_LARGE : 0;
}

bool braid_field_next(const char **at, const char *end, struct braid_field *field) {
  if (*at == end) return false;
  const char *stop = memchr(*at, '\n', (size_t)(end - *at));
  if (!stop || !split(*at, stop - 1, field)) return false;
  *at = stop + 1;
  return true;
}

bool braid_field_find(const char *fields, size_t size, const char *name, struct braid_field *field) {
  const char *at = fields, *end = fields + size;
  while (braid_field_next(&at, end, field))
    if (braid_text_equals(field->name, field->name_size, name)) return true;
  return false;
}
