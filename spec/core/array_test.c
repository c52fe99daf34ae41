/* SPDX-License-Identifier: MIT
 * Arrays and their rooms: many at once, from several threads, and none left behind. */
#include "../../csrc/core/array.h"

#include "check.h"

static bool is_zero(const char *bytes, size_t size) {
  while (size-- > 0)
    if (*bytes++ != 0) return false;
  return true;
}

/* Rooms of all sizes come and go; none is seen twice at once, all are zero. */
static void *churn(void *seed) {
  enum { KEPT = 40, ROUNDS = 4000 };
  struct braid_array *kept[KEPT] = {0};
  uint32_t random = (uint32_t)(uintptr_t)seed;
  for (int round = 0; round < ROUNDS; round++) {
    int at = (int)(check_random(&random) % KEPT);
    struct braid_array *old = kept[at];
    if (old) {
      unsigned char *bytes = old->data;
      if (old->length > 0) check(bytes[0] == (unsigned char)at && bytes[old->length - 1] == (unsigned char)at);
      braid_object_unref(&old->object);
    }
    size_t length = check_random(&random) % ((size_t)1 << check_random(&random) % 18);
    struct braid_array *array = kept[at] = braid_array_new(BRAID_U8, length);
    check(array && is_zero(array->data, length));
    if (array) memset(array->data, at, length);
  }
  for (int i = 0; i < KEPT; i++)
    if (kept[i]) braid_object_unref(&kept[i]->object);
  return NULL;
}

static void rooms_are_apart(void) {
  pthread_t threads[3];
  for (uintptr_t i = 0; i < 3; i++) check(braid_thread_start(&threads[i], churn, (void *)(i + 1)) == 0);
  for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
}

static void slices_keep_the_memory(void) {
  struct braid_array *array = braid_array_new(BRAID_I32, 300000);
  ((int32_t *)array->data)[299999] = 7;
  struct braid_array *slice = braid_array_slice(array, 299990, 10);
  struct braid_array *last = braid_array_slice(slice, 9, 1);
  braid_object_unref(&array->object);
  braid_object_unref(&slice->object);
  check(*(int32_t *)last->data == 7);
  braid_object_unref(&last->object);
}

static void is_mapped_once(void) {
  struct braid_segment *segment = braid_segment_new(5000);
  check(segment && segment->size >= 5000);
  struct braid_segment *same = braid_segment_adopt(-1, segment->serial);
  check(same == segment);
  check(braid_segment_adopt(-1, segment->serial + 1) == NULL);
  int fd = dup(segment->fd);
  strcpy(segment->base + 100, "seen");
  struct braid_segment *other = braid_segment_adopt(fd, segment->serial + (UINT64_C(1) << 32)); /* as another process */
  check(other && other->base != segment->base && strcmp(other->base + 100, "seen") == 0);
  braid_segment_clear(other, 0, other->size);
  check(is_zero(segment->base, segment->size));
  braid_segment_unref(same);
  braid_segment_unref(segment);
  other->base[0] = 1; /* it lives on */
  braid_segment_unref(other);
}

CHECK_MAIN({"array: rooms are apart", rooms_are_apart}, {"array: slices keep the memory", slices_keep_the_memory},
           {"array: a segment is mapped once", is_mapped_once})
