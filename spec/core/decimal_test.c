/* SPDX-License-Identifier: MIT */
#include "core/base/decimal.h"
#include "core/base/utf8.h"

#include <locale.h>
#include <math.h>

#include "check.h"

static uint32_t seed = 20261130;

static double of_bits(uint64_t bits) {
  double number;
  memcpy(&number, &bits, sizeof number);
  return number;
}

static uint64_t random_bits(void) { return (uint64_t)check_random(&seed) << 32 | check_random(&seed); }

static bool is_same(double a, double b) { return memcmp(&a, &b, sizeof a) == 0; }

/* The text of a number, as a string. */
static const char *text_of(double number) {
  static char text[BRAID_DECIMAL_SIZE + 1];
  size_t size = braid_decimal_write(text, number);
  check(size <= BRAID_DECIMAL_SIZE);
  text[size] = '\0';
  return text;
}

static void check_round_trip(double number) {
  const char *text = text_of(number);
  struct braid_decimal read = braid_decimal_read(text);
  check(is_same(strtod(text, NULL), number));
  check(read.kind == BRAID_DECIMAL_FLOAT && is_same(read.number, number) && *read.end == '\0');
}

static void texts_of_numbers(void) {
  static const struct {
    double number;
    const char *text;
  } known[] = {{0.0, "0.0"},
               {-0.0, "-0.0"},
               {1.0, "1.0"},
               {-12.5, "-12.5"},
               {0.1, "0.1"},
               {0.1 + 0.2, "0.30000000000000004"},
               {1.0 / 3.0, "0.3333333333333333"},
               {100.0, "100.0"},
               {1e15, "1000000000000000.0"},
               {1e16, "1e+16"},
               {1e21, "1e+21"},
               {1e22, "1e+22"},
               {1e23, "1e+23"},
               {1e300, "1e+300"},
               {0.0001, "0.0001"},
               {0.00001, "1e-05"},
               {1.5e-7, "1.5e-07"},
               {5e-324, "5e-324"},
               {2.2250738585072014e-308, "2.2250738585072014e-308"},
               {1.7976931348623157e308, "1.7976931348623157e+308"},
               {9007199254740993.0, "9007199254740992.0"},
               {2251799813685248.5, "2251799813685248.5"},
               {9.5367431640625e-07, "9.5367431640625e-07"}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    const char *text = text_of(known[i].number);
    if (strcmp(text, known[i].text) != 0) printf("#   %s is not %s\n", text, known[i].text);
    check(strcmp(text, known[i].text) == 0);
    check_round_trip(known[i].number);
  }
}

static void numbers_come_back(void) {
  for (int i = 0; i < 60000; i++) {
    double any = of_bits(random_bits());
    if (isfinite(any)) check_round_trip(any);
    check_round_trip((double)(random_bits() >> 11) / 9007199254740992.0);
    check_round_trip((double)(int64_t)(random_bits() % 2000000) / 1000);
    check_round_trip((double)(int64_t)random_bits());
  }
  for (int e = -1074; e < 1024; e++) { /* where the doubles' distance changes */
    double power = ldexp(1, e);
    check_round_trip(power);
    check_round_trip(nextafter(power, 0));
    check_round_trip(nextafter(power, 2 * power < HUGE_VAL ? 2 * power : power));
  }
}

/* No text with fewer digits is read as the same number. */
static void texts_are_the_shortest(void) {
  for (int i = 0; i < 20000; i++) {
    double number = ldexp((double)(random_bits() >> 11), (int)(check_random(&seed) % 200) - 150);
    const char *text = text_of(number);
    int digits = 0, zeros = 0;
    for (const char *c = text; *c && *c != 'e'; c++) {
      if (*c == '.' || (*c == '0' && digits == 0)) continue;
      digits++;
      zeros = *c == '0' ? zeros + 1 : 0;
    }
    char shorter[64];
    snprintf(shorter, sizeof shorter, "%.*e", digits - zeros - 2 < 0 ? 0 : digits - zeros - 2, number);
    check(digits - zeros == 1 || number == 0 || strtod(shorter, NULL) != number);
  }
}

static void digits_are_rounded_right(void) {
  for (int i = 0; i < 60000; i++) {
    char text[80];
    int size = 0, length = 1 + (int)(check_random(&seed) % 40), point = (int)(check_random(&seed) % 20);
    text[size++] = (char)('1' + check_random(&seed) % 9);
    for (int k = 0; k < length; k++) {
      if (k == point) text[size++] = '.';
      text[size++] = (char)('0' + (check_random(&seed) % 3 ? check_random(&seed) % 10 : 0));
    }
    if (text[size - 1] == '.') text[size++] = '5';
    int most = i % 2 ? 30 : 330;
    sprintf(text + size, "e%d", (int)(check_random(&seed) % (unsigned)(2 * most)) - most);
    check(is_same(braid_decimal_read(text).number, strtod(text, NULL)));
  }
  /* half way between two doubles, and a little more, far behind */
  char text[1200];
  memset(text, '0', sizeof text);
  memcpy(text, "9007199254740993.", 17);
  text[1000] = '\0';
  check(braid_decimal_read(text).number == 9007199254740992.0);
  text[999] = '1';
  check(braid_decimal_read(text).number == 9007199254740994.0);
}

static void integers_have_64_bits(void) {
  static const int64_t known[] = {0, 1, -1, 9, 10, -10, INT64_MAX, INT64_MIN, INT64_C(9007199254740993)};
  char text[BRAID_DECIMAL_SIZE + 1];
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    text[braid_decimal_write_integer(text, known[i])] = '\0';
    struct braid_decimal read = braid_decimal_read(text);
    check(read.kind == BRAID_DECIMAL_INTEGER && read.integer == known[i] && *read.end == '\0');
  }
  struct braid_decimal big = braid_decimal_read("9223372036854775808");
  check(big.kind == BRAID_DECIMAL_BIG && big.number == 9223372036854775808.0);
  check(braid_decimal_read("-9223372036854775809").kind == BRAID_DECIMAL_BIG);
  check(braid_decimal_read("100000000000000000000000000").number == 1e26);
  check(braid_decimal_read("18446744073709551617").number == 18446744073709551616.0);
}

static void what_is_no_number_has_its_place(void) {
  static const struct {
    const char *text;
    int place;
  } known[] = {{"-", 1}, {"-x", 1}, {"01", 0}, {"-01", 0}, {"1.", 2}, {"1.e5", 2}, {"1e", 2}, {"1e+", 3}, {"1E-x", 3}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    struct braid_decimal read = braid_decimal_read(known[i].text);
    check(read.kind == BRAID_DECIMAL_FAULT && read.fault && read.end - known[i].text == known[i].place);
  }
  const char *hex = "0x1F";
  check(braid_decimal_read(hex).end == hex + 1);
  check(isinf(braid_decimal_read("1e400").number) && braid_decimal_read("-1e400").number < 0);
  check(isinf(braid_decimal_read("1e99999999999999999999").number));
  check(braid_decimal_read("1e-99999999999999999999").number == 0);
}

static void the_locale_does_not_matter(void) {
  if (!setlocale(LC_NUMERIC, "de_DE.UTF-8") && !setlocale(LC_NUMERIC, "fr_FR.UTF-8")) {
    printf("#   no locale with a comma is installed\n");
    return;
  }
  check(strcmp(text_of(1.5e-100), "1.5e-100") == 0);
  check(strcmp(text_of(0.1), "0.1") == 0);
  check(is_same(braid_decimal_read("1.5e-100").number, 1.5e-100));
  setlocale(LC_NUMERIC, "C");
}

static void characters_are_those_of_unicode(void) {
  char text[4];
  int wrong = 0;
  for (uint32_t c = 0x80; c <= 0x10FFFF; c++) {
    size_t size = braid_utf8_write(text, c);
    bool surrogate = c >= 0xD800 && c < 0xE000;
    if ((braid_utf8_character(text, text + size) == (int)size) == surrogate) wrong++;
    if (!surrogate && braid_utf8_character(text, text + size - 1) != -(int)(size - 1)) wrong++;
  }
  check(wrong == 0);
  static const struct {
    const char *text;
    int length;
  } known[] = {{"\x80", -1},         {"\xC0\x80", -1},    {"\xC1\xBF", -1},         {"\xE0\x80\x80", -1},
               {"\xED\xA0\x80", -1}, {"\xE2\x82x", -2},   {"\xF0\x80\x80\x80", -1}, {"\xF4\x90\x80\x80", -1},
               {"\xF5\x80", -1},     {"\xF0\x9F\x98", -3}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    check(braid_utf8_character(known[i].text, known[i].text + strlen(known[i].text)) == known[i].length);
}

static void plain_bytes_are_passed_over(void) {
  char text[24];
  for (int place = 0; place < 20; place++)
    for (int byte = 0; byte < 256; byte++) {
      memset(text, 'a', sizeof text);
      text[place] = (char)byte;
      bool plain = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
      check(braid_utf8_skip_plain(text, text + 20) == text + (plain ? 20 : place));
    }
}

int main(void) {
  static const struct check_test tests[] = {
      {"texts of numbers", texts_of_numbers},
      {"numbers come back as they were", numbers_come_back},
      {"texts are the shortest", texts_are_the_shortest},
      {"digits are rounded right, however many", digits_are_rounded_right},
      {"integers have 64 bits", integers_have_64_bits},
      {"what is no number has its place", what_is_no_number_has_its_place},
      {"the locale does not matter", the_locale_does_not_matter},
      {"characters are those of Unicode", characters_are_those_of_unicode},
      {"plain bytes are passed over", plain_bytes_are_passed_over},
  };
  return check_run(tests, sizeof tests / sizeof *tests);
}
