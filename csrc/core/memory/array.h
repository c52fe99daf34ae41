/* SPDX-License-Identifier: MIT
 * A row of numbers of one type in memory that threads and processes share. Nothing guards the numbers: who reads what
 * another writes at the same time sees the old one or the new one. Any thread; blocks only for system calls. */
#ifndef BRAID_ARRAY_H
#define BRAID_ARRAY_H

#include "core/base/object.h"
#include "core/memory/slab.h"

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

/* Of an array whose memory another process keeps for us: told when it is not needed any more. */
struct braid_array_keeper {
  void (*leave)(struct braid_array_keeper *keeper);
};

struct braid_array {
  struct braid_object object;
  enum braid_array_type type;
  size_t length; /* in elements */
  void *data;
  struct braid_array *whole;         /* of which this is a slice, with a reference; NULL: it has memory of its own */
  struct braid_room room;            /* that memory */
  struct braid_array_keeper *keeper; /* NULL: it is this process's */
};

extern const struct braid_class braid_array_class;

/* Zeroes. NULL: errno tells. */
struct braid_array *braid_array_new(enum braid_array_type type, size_t length);

/* `length` elements of `array`, from the one at `first` (0 is the first) on: the same memory. NULL when memory is out.
 */
struct braid_array *braid_array_slice(struct braid_array *array, size_t first, size_t length);

/* The same for what another process says of an array of ours: `offset` in bytes. NULL: errno tells; EBADMSG: it does
 * not lie within the array. */
struct braid_array *braid_array_part(struct braid_array *array, size_t offset, size_t length);

/* An array in another process's segment, whose reference it takes over when it succeeds. What another process says is
 * not believed. NULL: errno tells; EBADMSG: there is no such type, or the array does not lie within the segment. */
struct braid_array *braid_array_adopt(unsigned type, size_t length, struct braid_shm *segment, size_t offset,
                                      struct braid_array_keeper *keeper);

/* Where its memory is, counted in bytes from the beginning of its segment. */
static inline const struct braid_room *braid_array_room(const struct braid_array *array) {
  return array->whole ? &array->whole->room : &array->room;
}
static inline size_t braid_array_offset(const struct braid_array *array) {
  return (size_t)((const char *)array->data - braid_array_room(array)->segment->base);
}

/* Bytes of an element. */
size_t braid_array_width(enum braid_array_type type);

/* "f64" */
const char *braid_array_type_name(enum braid_array_type type);

#endif
