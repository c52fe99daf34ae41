/* SPDX-License-Identifier: MIT
 * The normal form of paths, hosts, and heads of answers. */
#include "core/web/target.h"

#include "check.h"
#include "core/web/answer.h"
#include "core/web/syntax.h"

static bool is(const char *path, bool raw, enum braid_path outcome, const char *wanted) {
  char out[64];
  size_t size = 0;
  enum braid_path got = braid_path_normalise(path, strlen(path), raw, out, &size);
  if (got != outcome) return false;
  if (got == BRAID_PATH_BAD) return true;
  if (got == BRAID_PATH_PLAIN) return strcmp(path, wanted) == 0;
  return size == strlen(wanted) && memcmp(out, wanted, size) == 0;
}

static void normalises(void) {
  check(is("/", false, BRAID_PATH_PLAIN, "/") && is("/a/b.c/", false, BRAID_PATH_PLAIN, "/a/b.c/"));
  check(is("/%61", false, BRAID_PATH_WRITTEN, "/a") && is("//", false, BRAID_PATH_WRITTEN, "/"));
  check(is("/a//b", false, BRAID_PATH_WRITTEN, "/a/b") && is("/a/./b/.", false, BRAID_PATH_WRITTEN, "/a/b/"));
  check(is("/a/b/../c", false, BRAID_PATH_WRITTEN, "/a/c") && is("/../..", false, BRAID_PATH_WRITTEN, "/"));
  check(is("/a/..", false, BRAID_PATH_WRITTEN, "/") && is("/a/b/..", false, BRAID_PATH_WRITTEN, "/a/"));
  check(is("/.%2E/%2e%2e/x", false, BRAID_PATH_WRITTEN, "/x") && is("/...", false, BRAID_PATH_WRITTEN, "/..."));
  check(is("/.a/..b", false, BRAID_PATH_WRITTEN, "/.a/..b") && is("/%25%32%66", false, BRAID_PATH_WRITTEN, "/%2f"));
}

static void keeps_escaped_slashes(void) {
  check(is("/a%2fb", false, BRAID_PATH_ESCAPED, "/a%2Fb") && is("/%00", false, BRAID_PATH_ESCAPED, "/%00"));
  check(is("/a%2f/..", false, BRAID_PATH_BAD, "") && is("/a%2f/.", false, BRAID_PATH_ESCAPED, "/a%2F/"));
  check(is("/a%20b/../%2fc%41", true, BRAID_PATH_WRITTEN, "/%2fc%41") && is("/%2e/a", true, BRAID_PATH_WRITTEN, "/a"));
}

static void refuses_what_is_no_escape(void) {
  static const char *const bad[] = {"/%", "/%4", "/%zz", "/a/%4g/b", "/%/..", "/%%41"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) check(is(bad[i], false, BRAID_PATH_BAD, ""));
}

static void knows_hosts(void) {
  static const char *const good[] = {"h", "a.b-c_d", "1.2.3.4:80", "[::1]", "[2001:db8::1]:8080", "h:", "a%20b", "h:0"};
  static const char *const bad[] = {"",     ":80", "a b",    "u@h",  "h/g",  "h:80:90", "h:x",
                                    "[::1", "[]",  "[::g1]", "h:-1", "a%2z", "h:65536", "[1.2.3.4]x"};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) check(braid_text_is_authority(good[i], strlen(good[i])));
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) check(!braid_text_is_authority(bad[i], strlen(bad[i])));
}

static void makes_field_lines(void) {
  struct braid_buffer fields;
  braid_buffer_init(&fields);
  check(braid_answer_add(&fields, "X-A", 3, "b", 1) && braid_answer_add(&fields, "C", 1, "", 0));
  check(fields.size == 13 && memcmp(fields.data, "X-A: b\r\nC: \r\n", 13) == 0);
  check(!braid_answer_add(&fields, "X A", 3, "b", 1) && !braid_answer_add(&fields, "", 0, "b", 1));
  check(!braid_answer_add(&fields, "X", 1, "a\r\nB: c", 7) && !braid_answer_add(&fields, "X", 1, "a\0b", 3));
  check(fields.size == 13);
  struct braid_date date = {0};
  braid_date_update(&date);
  check(strlen(date.line) == BRAID_DATE_LINE && memcmp(date.line + 31, " GMT\r\n", 6) == 0);
  check(strcmp(braid_status_words(404), "Not Found") == 0 && *braid_status_words(799) == '\0');
  braid_buffer_term(&fields);
}

CHECK_MAIN({"target: paths get their normal form", normalises},
           {"target: escapes of slashes stay", keeps_escaped_slashes},
           {"target: broken escapes are refused", refuses_what_is_no_escape},
           {"target: hosts are known from what is none", knows_hosts},
           {"target: field lines cannot begin another one", makes_field_lines})
