/* SPDX-License-Identifier: MIT
 * Numbers as decimal text and back, as JSON writes them, whatever the locale: what is written is the shortest text that
 * reads back as the same number, and what is read is rounded right. Any thread; nothing blocks. */
#ifndef BRAID_DECIMAL_H
#define BRAID_DECIMAL_H

#include "core/base/base.h"

enum {
  BRAID_DECIMAL_SIZE = 32 /* the longest text that is written */
};

enum braid_decimal_kind {
  BRAID_DECIMAL_FAULT,   /* it is no number of JSON: `end` is where, `fault` why */
  BRAID_DECIMAL_INTEGER, /* in 64 bits */
  BRAID_DECIMAL_BIG,     /* one that is beyond them: `number` is the nearest */
  BRAID_DECIMAL_FLOAT    /* it has a point or an exponent */
};

struct braid_decimal {
  enum braid_decimal_kind kind;
  int64_t integer;
  double number; /* infinite: beyond what a double holds */
  const char *end, *fault;
};

/* Reads the number that begins at `text` ("-" or a digit), behind which a zero byte stands somewhere. */
struct braid_decimal braid_decimal_read(const char *text);

/* Write into BRAID_DECIMAL_SIZE bytes, and return how many; no zero byte follows. A double has a point or an exponent,
 * so that it reads back as one, and must be finite. */
size_t braid_decimal_write(char *into, double number);
size_t braid_decimal_write_integer(char *into, int64_t number);

#endif
