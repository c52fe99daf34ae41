/* SPDX-License-Identifier: MIT
 * A row of numbers of one type in memory that threads and processes share. Nothing guards the numbers: who reads what
 * another writes at the same time sees the old one or the new one. Any thread; blocks only for system calls. */
#ifndef BRAID_ARRAY_H
#define BRAID_ARRAY_H

#include "refs.h"
#include "slab.h"

enum braid_array_type {
  BRAID_F64,
  BRAID_F32,
  BRAID_I64,
  BRAID_I32,
  BRAID_I16,
  BRAID_I8,
  BRAID_U64,
  BRAID_U32,
  BRAID_U16,
  BRAID_U8,
  BRAID_ARRAY_TYPES /* how many there are */
};

struct braid_array {
  struct braid_object object;
  enum braid_array_type type;
  size_t length; /* in elements */
  void *data;
  struct braid_array *whole; /* of which this is a slice, with a reference; NULL: it has memory of its own */
  struct braid_room room;    /* that memory */
};

extern const struct braid_class braid_array_class;

/* Zeroes. NULL: errno tells. */
struct braid_array *braid_array_new(enum braid_array_type type, size_t length);

/* `length` elements of `array`, from the one at `first` (0 is the first) on: the same memory. NULL when memory is out.
 */
struct braid_array *braid_array_slice(struct braid_array *array, size_t first, size_t length);

/* Bytes of an element. */
size_t braid_array_width(enum braid_array_type type);

/* "f64" */
const char *braid_array_type_name(enum braid_array_type type);

#endif
