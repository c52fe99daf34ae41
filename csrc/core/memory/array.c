/* SPDX-License-Identifier: MIT
 * References own an array. Only its numbers change. A slice holds a reference to the array that has the memory. */
#include "core/memory/array.h"

#include <errno.h>
#include <stdlib.h>

#include "core/loop/loop.h"

static const struct {
  const char *name;
  size_t width;
} types[BRAID_ARRAY_TYPES] = {
    [BRAID_F64] = {"f64", 8}, [BRAID_F32] = {"f32", 4}, [BRAID_I64] = {"i64", 8}, [BRAID_I32] = {"i32", 4},
    [BRAID_I16] = {"i16", 2}, [BRAID_I8] = {"i8", 1},   [BRAID_U64] = {"u64", 8}, [BRAID_U32] = {"u32", 4},
    [BRAID_U16] = {"u16", 2}, [BRAID_U8] = {"u8", 1},
};

size_t braid_array_width(enum braid_array_type type) { return types[type].width; }

const char *braid_array_type_name(enum braid_array_type type) { return types[type].name; }

/* A forked child shares the memory with its parent, which owns it: so the child frees nothing. */
static void destroy(struct braid_object *object) {
  struct braid_array *array = braid_container(object, struct braid_array, object);
  if (braid_loop_is_fork) return;
  if (array->whole)
    braid_object_unref(&array->whole->object);
  else
    braid_room_give(&array->room);
  if (array->keeper) array->keeper->leave(array->keeper);
  free(array);
}

const struct braid_class braid_array_class = {"braid.array", destroy};

struct braid_array *braid_array_new(enum braid_array_type type, size_t length) {
  if (length > SIZE_MAX / types[type].width) {
    errno = ENOMEM;
    return NULL;
  }
  struct braid_array *array = malloc(sizeof *array);
  if (!array) return NULL;
  *array = (struct braid_array){.type = type, .length = length};
  if (!braid_room_take(&array->room, length * types[type].width)) {
    free(array);
    return NULL;
  }
  array->data = braid_room_data(&array->room);
  braid_object_init(&array->object, &braid_array_class);
  return array;
}

struct braid_array *braid_array_slice(struct braid_array *array, size_t first, size_t length) {
  struct braid_array *slice = malloc(sizeof *slice);
  if (!slice) return NULL;
  *slice = (struct braid_array){.type = array->type, .named = array->named, .length = length};
  slice->data = (char *)array->data + first * types[array->type].width;
  slice->whole = array->whole ? array->whole : array;
  braid_object_ref(&slice->whole->object);
  braid_object_init(&slice->object, &braid_array_class);
  return slice;
}

static bool is_within(size_t size, size_t width, size_t length, size_t offset) {
  return offset % width == 0 && offset <= size && length <= (size - offset) / width;
}

struct braid_array *braid_array_part(struct braid_array *array, size_t offset, size_t length) {
  size_t width = types[array->type].width;
  if (is_within(array->length * width, width, length, offset)) return braid_array_slice(array, offset / width, length);
  errno = EBADMSG;
  return NULL;
}

struct braid_array *braid_array_adopt(unsigned type, size_t length, struct braid_shm *segment, size_t offset,
                                      struct braid_array_keeper *keeper) {
  if (type >= BRAID_ARRAY_TYPES || !is_within(segment->size, types[type].width, length, offset)) {
    errno = EBADMSG;
    return NULL;
  }
  struct braid_array *array = malloc(sizeof *array);
  if (!array) return NULL;
  *array = (struct braid_array){.type = (enum braid_array_type)type, .length = length, .keeper = keeper};
  array->named = segment->named;
  array->room = (struct braid_room){.segment = segment, .offset = offset};
  array->data = braid_room_data(&array->room);
  braid_object_init(&array->object, &braid_array_class);
  return array;
}
