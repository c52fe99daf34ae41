/* SPDX-License-Identifier: MIT
 * Goes through the headers once. It refuses: a length that is not a plain number, two lengths, a length together with a
 * transfer coding, a coding other than "chunked", two hosts, a name that is no token, a value with control
 * characters. */
#include "core/web/header_check.h"

#include <string.h>
#include <strings.h>

struct findings {
  unsigned lengths, codings, hosts;
  uint64_t length;
  bool bad, chunked;
};

static bool is_token(const char *name, size_t size) {
  static const char others[] = "!#$%&'*+-.^_`|~";
  if (size == 0) return false;
  for (size_t i = 0; i < size; i++) {
    char c = name[i];
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!letter && (c == '\0' || !strchr(others, c))) return false;
  }
  return true;
}

static bool is_clean(const char *value, size_t size) {
  for (size_t i = 0; i < size; i++)
    if (((unsigned char)value[i] < ' ' && value[i] != '\t') || value[i] == 127) return false;
  return true;
}

bool braid_header_check_target(const char *target, size_t size) { return is_clean(target, size); }

static bool read_length(const char *value, size_t size, uint64_t *length) {
  if (size == 0 || size > 18) return false;
  *length = 0;
  for (size_t i = 0; i < size; i++) {
    if (value[i] < '0' || value[i] > '9') return false;
    *length = *length * 10 + (uint64_t)(value[i] - '0');
  }
  return true;
}

static bool is_name(const char *name, size_t size, const char *wanted) {
  return strlen(wanted) == size && strncasecmp(name, wanted, size) == 0;
}

static enum MHD_Result look(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_size, const char *value,
                            size_t value_size) {
  (void)kind;
  struct findings *found = cls;
  if (!value) value_size = 0;
  if (!is_token(name, name_size) || !is_clean(value, value_size)) {
    found->bad = true;
  } else if (is_name(name, name_size, MHD_HTTP_HEADER_CONTENT_LENGTH)) {
    found->lengths++;
    if (!read_length(value, value_size, &found->length)) found->bad = true;
  } else if (is_name(name, name_size, MHD_HTTP_HEADER_TRANSFER_ENCODING)) {
    found->codings++;
    found->chunked = is_name(value, value_size, "chunked");
  } else if (is_name(name, name_size, MHD_HTTP_HEADER_HOST)) {
    found->hosts++;
  }
  return MHD_YES;
}

enum braid_header_check braid_header_check(struct MHD_Connection *connection, const char *method, const char *version,
                                           bool *has_body, uint64_t *length) {
  struct findings found = {0};
  MHD_get_connection_values_n(connection, MHD_HEADER_KIND, look, &found);
  bool old = strcmp(version, MHD_HTTP_VERSION_1_1) != 0;
  *has_body = found.codings > 0 || found.length > 0;
  *length = found.length;
  if (found.bad || found.lengths > 1 || found.codings > 1 || found.hosts > 1) return BRAID_HEADER_CHECK_BAD;
  if (found.codings > 0 && (found.lengths > 0 || old)) return BRAID_HEADER_CHECK_BAD;
  if (found.codings > 0 && !found.chunked) return BRAID_HEADER_CHECK_UNKNOWN_CODING;
  if (!is_token(method, strlen(method)) || strncmp(version, "HTTP/1.", 7) != 0) return BRAID_HEADER_CHECK_BAD;
  return BRAID_HEADER_CHECK_FINE;
}
