/* SPDX-License-Identifier: MIT
 * Arrays and their rooms: many at once, from several threads, and none left behind. */
#include "core/memory/array.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

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

static void lies_are_not_believed(void) {
  struct braid_shm *segment = braid_shm_new(1 << 16);
  size_t size = segment->size;
  const struct {
    unsigned type;
    size_t length, offset;
  } lies[] = {{BRAID_F64, size / 8 + 1, 0}, {BRAID_F64, 1, size},
              {BRAID_F64, 1, size - 4},     {BRAID_F64, 1, 4},
              {BRAID_F64, SIZE_MAX, 0},     {BRAID_F64, SIZE_MAX / 8 + 1, 8},
              {BRAID_U8, 1, SIZE_MAX},      {BRAID_U8, 2, SIZE_MAX},
              {BRAID_U8, size, 1},          {BRAID_F64, 2, SIZE_MAX - 7},
              {BRAID_ARRAY_TYPES, 1, 0},    {UINT32_MAX, 1, 0},
              {BRAID_I16, 0, size + 2},     {BRAID_I16, SIZE_MAX / 2, 2},
              {BRAID_F64, size / 8, 8}};
  for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
    errno = 0;
    check(braid_array_adopt(lies[i].type, lies[i].length, segment, lies[i].offset, NULL) == NULL && errno == EBADMSG);
  }
  struct braid_array *own = braid_array_new(BRAID_I32, 10), *part = braid_array_part(own, 8, 8);
  check(part && part->length == 8 && (char *)part->data == (char *)own->data + 8);
  check(!braid_array_part(own, 8, 9) && !braid_array_part(own, 2, 1) && !braid_array_part(own, 44, 0));
  check(!braid_array_part(own, SIZE_MAX - 3, 1) && !braid_array_part(own, 4, SIZE_MAX / 4));
  braid_object_unref(&part->object);
  braid_object_unref(&own->object);
  struct braid_array *array = braid_array_adopt(BRAID_I16, size / 2 - 1, segment, 2, NULL);
  check(array && (char *)array->data == segment->base + 2);
  if (array) braid_object_unref(&array->object);
}

static int count_descriptors(void) {
  int count = 0;
  for (int fd = 0; fd < 4096; fd++) count += fcntl(fd, F_GETFD) >= 0;
  return count;
}

/* Very many of all sizes; what is given back is zero when it is taken again, and so are those beside it untouched. */
static void descriptors_are_few(void) {
  enum { COUNT = 20000 };
  static struct braid_array *arrays[COUNT];
  uint32_t random = 7;
  int before = count_descriptors();
  for (int round = 0; round < 2; round++) {
    for (int i = 0; i < COUNT; i++) {
      if (arrays[i]) continue;
      size_t length = (size_t)1 + check_random(&random) % ((size_t)1 << (10 + i % 14));
      arrays[i] = braid_array_new(BRAID_U8, length);
      check(arrays[i] != NULL);
      unsigned char *bytes = arrays[i]->data;
      check(bytes[0] == 0 && bytes[length / 2] == 0 && bytes[length - 1] == 0);
      bytes[0] = bytes[length / 2] = bytes[length - 1] = (unsigned char)(i | 1);
    }
    check(count_descriptors() < before + 20);
    for (int i = 0; i < COUNT; i++) {
      unsigned char *bytes = arrays[i]->data, mark = (unsigned char)(i | 1);
      check(bytes[0] == mark && bytes[arrays[i]->length / 2] == mark && bytes[arrays[i]->length - 1] == mark);
      if (round == 0 && check_random(&random) % 2) continue;
      braid_object_unref(&arrays[i]->object);
      arrays[i] = NULL;
    }
  }
  check(count_descriptors() <= before + 4);
}

/* What is free next to each other becomes one. */
static void free_ranges_join(void) {
  enum { COUNT = 64, SIZE = 1 << 20 };
  struct braid_range *ranges[COUNT];
  for (int i = 0; i < COUNT; i++) ranges[i] = braid_range_take(SIZE);
  for (int i = 0; i < COUNT; i += 2) braid_range_give(ranges[i]);
  for (int i = COUNT - 1; i > 0; i -= 2) braid_range_give(ranges[i]);
  struct braid_range *whole = braid_range_take(1), *other = braid_range_take(1);
  check(whole->segment == other->segment);
  check(whole->size == other->size && whole->size < SIZE);
  braid_range_give(whole);
  braid_range_give(other);
}

static void too_much_is_refused(void) {
  errno = 0;
  check(braid_range_take(SIZE_MAX) == NULL && errno == ENOMEM);
  check(braid_range_take(SIZE_MAX / 4) == NULL && errno == ENOMEM);
  check(braid_array_new(BRAID_F64, SIZE_MAX / 8) == NULL && errno == ENOMEM);
}

/* Where no file may be large (ulimit -f) a small array has a page, and a large one is refused. */
static void limit_of_files_is_told(void) {
  struct rlimit before, limit;
  signal(SIGXFSZ, SIG_IGN);
  getrlimit(RLIMIT_FSIZE, &before);
  limit = before;
  limit.rlim_cur = 100000;
  check(setrlimit(RLIMIT_FSIZE, &limit) == 0);
  struct braid_range *held = NULL, *ranges[100];
  int count = 0;
  while (count < 100 && (held = braid_range_take(3 << 20))) ranges[count++] = held; /* of what is there already */
  check(count < 100 && errno == EFBIG);
  struct braid_array *small = braid_array_new(BRAID_F64, 10);
  check(small != NULL);
  if (small) braid_object_unref(&small->object);
  while (count > 0) braid_range_give(ranges[--count]);
  setrlimit(RLIMIT_FSIZE, &before);
}

CHECK_MAIN({"array: rooms are apart", rooms_are_apart}, {"array: slices keep the memory", slices_keep_the_memory},
           {"array: what another process says is not believed", lies_are_not_believed},
           {"array: descriptors are few", descriptors_are_few}, {"array: free ranges join", free_ranges_join},
           {"array: too much is refused", too_much_is_refused},
           {"array: a limit of files is told", limit_of_files_is_told})
