/* SPDX-License-Identifier: MIT
 * Heads of requests: whole, and in every two pieces. */
#include "core/web/head.h"

#include "check.h"

enum { MOST = 8192 };

static unsigned parse(struct braid_head *head, const char *text) {
  memset(head, 0, sizeof *head);
  return braid_head_parse(head, text, strlen(text), MOST);
}

/* The outcome has to be the same wherever the bytes are cut. */
static unsigned parse_cut(const char *text) {
  struct braid_head head;
  size_t size = strlen(text);
  unsigned whole = parse(&head, text);
  for (size_t cut = 0; cut < size; cut++) {
    memset(&head, 0, sizeof head);
    unsigned outcome = braid_head_parse(&head, text, cut, MOST);
    if (outcome == 0) outcome = braid_head_parse(&head, text, size, MOST);
    check(outcome == whole);
  }
  memset(&head, 0, sizeof head);
  unsigned outcome = 0;
  for (size_t end = 1; end <= size && outcome == 0; end++) outcome = braid_head_parse(&head, text, end, MOST);
  check(outcome == whole);
  return whole;
}

static bool is_part(const char *text, struct braid_part part, const char *wanted) {
  return part.size == strlen(wanted) && memcmp(text + part.at, wanted, part.size) == 0;
}

static void finds_the_parts(void) {
  static const char text[] = "POST /a/b?c=d&e HTTP/1.1\r\nHost: h:80\r\nX-A:  b c \t\r\nContent-Length: 12\r\n\r\nrest";
  struct braid_head head;
  check(parse(&head, text) == 200);
  check(is_part(text, head.method, "POST") && is_part(text, head.target, "/a/b?c=d&e"));
  check(is_part(text, head.path, "/a/b") && is_part(text, head.query, "c=d&e"));
  check(head.size == strlen(text) - 4 && head.count == 3 && head.length == 12);
  check(head.flags == (BRAID_HEAD_HOST | BRAID_HEAD_LENGTH));
  struct braid_field field;
  const char *at = text + head.fields.at, *end = at + head.fields.size;
  check(braid_field_next(&at, end, &field) && field.name_size == 4 && field.value_size == 4);
  check(braid_field_next(&at, end, &field) && field.value_size == 3 && memcmp(field.value, "b c", 3) == 0);
  check(braid_field_next(&at, end, &field) && !braid_field_next(&at, end, &field));
  check(braid_field_find(text + head.fields.at, head.fields.size, "x-a", &field) && *field.value == 'b');
  check(!braid_field_find(text + head.fields.at, head.fields.size, "x", &field));
}

static void knows_flags(void) {
  struct braid_head head;
  check(parse(&head, "GET / HTTP/1.0\r\n\r\n") == 200 && head.flags == BRAID_HEAD_OLD && head.fields.size == 0);
  check(parse(&head, "GET / HTTP/1.1\r\nHost: h\r\nConnection: a, Close ,Upgrade\r\n\r\n") == 200);
  check(head.flags == (BRAID_HEAD_HOST | BRAID_HEAD_CLOSE | BRAID_HEAD_UPGRADE));
  check(parse(&head, "GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\nExpect: 100-Continue\r\n\r\n") == 200);
  check(head.flags == (BRAID_HEAD_HOST | BRAID_HEAD_KEEP | BRAID_HEAD_CONTINUE));
  check(parse(&head, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n") == 200);
  check(head.flags == (BRAID_HEAD_HOST | BRAID_HEAD_CHUNKED));
  check(parse(&head, "GET http://[::1]:8080?a HTTP/1.1\r\nHost: h\r\n\r\n") == 200);
  check(head.flags & BRAID_HEAD_ABSOLUTE && head.path.size == 0 && head.query.size == 1 && head.authority.size == 10);
  check(parse(&head, "\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n") == 200);
}

static void outcomes_do_not_depend_on_pieces(void) {
  static const struct {
    unsigned status;
    const char *text;
  } cases[] = {
      {200, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"},
      {200, "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"},
      {0, "GET / HTTP/1.1\r\nHost: h\r\n"},
      {400, "\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"},
      {400, "GET / HTTP/1.1\nHost: h\r\n\r\n"},
      {400, "GET  / HTTP/1.1\r\nHost: h\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: h\r\n X: fold\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: h\r\nX : y\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n"},
      {400, "GET /#a HTTP/1.1\r\nHost: h\r\n\r\n"},
      {400, "GET * HTTP/1.1\r\nHost: h\r\n\r\n"},
      {400, "CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\n\r\n"},
      {400, "GET / HTTP/0.9\r\n\r\n"},
      {505, "GET / HTTP/2.0\r\nHost: h\r\n\r\n"},
      {417, "GET / HTTP/1.1\r\nHost: h\r\nExpect: more\r\n\r\n"},
      {501, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"},
      {400, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, gzip\r\n\r\n"},
      {400, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {400, "\x16\x03\x01"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check(parse_cut(cases[i].text) == cases[i].status);
}

static void has_limits(void) {
  static char text[3 * MOST];
  struct braid_head head = {0};
  int size = sprintf(text, "GET / HTTP/1.1\r\nHost: h\r\nX: ");
  memset(text + size, 'a', MOST);
  check(braid_head_parse(&head, text, MOST - 1, MOST) == 0);
  check(braid_head_parse(&head, text, MOST, MOST) == 431);
  size = sprintf(text, "GET / HTTP/1.1\r\nHost: h\r\n");
  for (int i = 1; i < BRAID_HEAD_MOST_FIELDS; i++) size += sprintf(text + size, "X: 1\r\n");
  strcpy(text + size, "\r\n");
  check(parse(&head, text) == 200 && head.count == BRAID_HEAD_MOST_FIELDS);
  strcpy(text + size, "X: 1\r\n\r\n");
  check(parse(&head, text) == 431);
}

CHECK_MAIN({"head: finds the parts of a head", finds_the_parts}, {"head: knows what the fields say", knows_flags},
           {"head: has the same outcome in any pieces", outcomes_do_not_depend_on_pieces},
           {"head: has limits of size and number", has_limits})
