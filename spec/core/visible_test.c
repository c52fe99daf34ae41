/* SPDX-License-Identifier: MIT
 * Text for a terminal orders it about in no way. */
#include "core/base/visible.h"

#include "check.h"

static bool shows(const char *text, bool lines, const char *expected) {
  struct braid_buffer shown;
  braid_buffer_init(&shown);
  braid_visible_append(&shown, text, strlen(text), lines);
  bool same = shown.size == strlen(expected) && memcmp(shown.data, expected, shown.size) == 0;
  braid_buffer_term(&shown);
  return same;
}

static void characters_stay(void) {
  check(shows("a ~", false, "a ~"));
  check(shows("\u00e9\u20ac\U0001F600", false, "\u00e9\u20ac\U0001F600"));
  check(shows("\u00a0\u2029\u202f\u2065\u206a", false, "\u00a0\u2029\u202f\u2065\u206a"));
}

static void orders_are_written_out(void) {
  check(shows("\x1b[2J\x7f", false, "\\x1b[2J\\x7f"));
  check(shows("\xc2\x80\xc2\x9f", false, "\\xc2\\x80\\xc2\\x9f"));
  check(shows("\u202a\u202e\u2066\u2069", false, "\\xe2\\x80\\xaa\\xe2\\x80\\xae\\xe2\\x81\\xa6\\xe2\\x81\\xa9"));
}

static void what_is_no_character_is_written_out(void) {
  check(shows("\xff"
              "a\xc3",
              false, "\\xffa\\xc3"));
  check(shows("\xc0\xaf", false, "\\xc0\\xaf"));
  check(shows("\xed\xa0\x80", false, "\\xed\\xa0\\x80"));
}

static void ends_of_lines_stay_when_they_may(void) {
  check(shows("a\nb", true, "a\nb"));
  check(shows("a\nb", false, "a\\x0ab"));
}

static void only_the_format_ends_a_line(void) {
  struct braid_buffer text;
  braid_buffer_init(&text);
  braid_visible_format(&text, "%s: ", "x\n");
  braid_visible_format(&text, "%d\n", 1);
  check(text.size == 9 && memcmp(text.data, "x\\x0a: 1\n", 9) == 0);
  braid_buffer_term(&text);
}

CHECK_MAIN({"visible: characters stay", characters_stay}, {"visible: orders are written out", orders_are_written_out},
           {"visible: what is no character is written out", what_is_no_character_is_written_out},
           {"visible: ends of lines stay when they may", ends_of_lines_stay_when_they_may},
           {"visible: only the format ends a line", only_the_format_ends_a_line})
