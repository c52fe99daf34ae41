/* SPDX-License-Identifier: MIT
 * An array of numbers of one type, in memory that threads and processes share. The numbers have no lock: a read during
 * a write of the same number gives the old or the new one. Any thread; blocks only for system calls. */
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
  BRAID_ARRAY_TYPES /* the number of types */
};

/* For an array whose memory belongs to another process: `leave` tells it that the memory is no longer needed here. */
struct braid_array_keeper {
  void (*leave)(struct braid_array_keeper *keeper);
};

struct braid_array {
  struct braid_object object;
  enum braid_array_type type;
  bool named;    /* it is a part of a named file, which may be torn, or hold copies */
  size_t length; /* in elements */
  void *data;
  struct braid_array *whole; /* the array of which this is a slice, with a reference; NULL: it has its own memory */
  struct braid_room room;    /* its own memory */
  struct braid_array_keeper *keeper; /* NULL: the memory belongs to this process */
};

extern const struct braid_class braid_array_class;

/* An array of zeroes. NULL: errno tells. */
struct braid_array *braid_array_new(enum braid_array_type type, size_t length);

/* A slice of `length` elements that begins at index `first` (from 0). It shares the memory. NULL when memory is out. */
struct braid_array *braid_array_slice(struct braid_array *array, size_t first, size_t length);

/* The same, where another process gives `offset` (in bytes) and `length`. NULL: errno tells; EBADMSG: the slice is not
 * within the array. */
struct braid_array *braid_array_part(struct braid_array *array, size_t offset, size_t length);

/* An array in a segment that another process, or a named file, gives; `keeper` may be NULL. On success it takes over
 * the caller's reference to the segment. It checks what they said. NULL: errno tells; EBADMSG: no such type, or the
 * array is not within the segment. */
struct braid_array *braid_array_adopt(unsigned type, size_t length, struct braid_shm *segment, size_t offset,
                                      struct braid_array_keeper *keeper);

/* The place of its memory, and the offset in bytes from the beginning of the segment. */
static inline const struct braid_room *braid_array_room(const struct braid_array *array) {
  return array->whole ? &array->whole->room : &array->room;
}
static inline size_t braid_array_offset(const struct braid_array *array) {
  return (size_t)((const char *)array->data - braid_array_room(array)->segment->base);
}

/* Whether its file was truncated: elements may be lost. */
static inline bool braid_array_is_torn(const struct braid_array *array) {
  return array->named && atomic_load_explicit(&braid_array_room(array)->segment->torn, memory_order_relaxed);
}

/* Whether it is of a file that was opened for reading only. */
static inline bool braid_array_is_fixed(const struct braid_array *array) {
  return array->named && braid_array_room(array)->segment->copies;
}

/* The size of an element in bytes. */
size_t braid_array_width(enum braid_array_type type);

/* The name of a type, like "f64". */
const char *braid_array_type_name(enum braid_array_type type);

#endif
