/* SPDX-License-Identifier: MIT
 * Numbers to decimal text and back, in the syntax of JSON, independent of the locale. Writing gives the shortest text
 * that reads back as the same number. Reading rounds correctly. Any thread; nothing blocks. */
#ifndef BRAID_DECIMAL_H
#define BRAID_DECIMAL_H

#include "core/base/base.h"

enum {
  BRAID_DECIMAL_SIZE = 32, /* of the longest text that is written */
  BRAID_DECIMAL_TENS = 27
};

enum braid_decimal_kind {
  BRAID_DECIMAL_FAULT,   /* not a number of JSON: `end` is the place, `fault` the reason */
  BRAID_DECIMAL_INTEGER, /* fits into 64 bits */
  BRAID_DECIMAL_BIG,     /* an integer that does not fit: `number` is the nearest double */
  BRAID_DECIMAL_FLOAT    /* it has a point or an exponent */
};

struct braid_decimal {
  enum braid_decimal_kind kind;
  int64_t integer;
  double number; /* infinite: the text is beyond the range of doubles */
  const char *end, *fault;
};

/* Reads the number that begins at `text` with "-" or a digit. A zero byte must stand somewhere after it. */
struct braid_decimal braid_decimal_read(const char *text);

/* w * 10^q, correctly rounded. q is from -BRAID_DECIMAL_TENS to BRAID_DECIMAL_TENS. */
double braid_decimal_scaled(uint64_t w, int q);

/* They write at most BRAID_DECIMAL_SIZE bytes and return how many; they add no zero byte. A double must be finite. Its
 * text always has a point or an exponent, so it reads back as a double. */
size_t braid_decimal_write(char *into, double number);
size_t braid_decimal_write_integer(char *into, int64_t number);

#endif
