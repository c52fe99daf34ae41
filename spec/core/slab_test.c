/* SPDX-License-Identifier: MIT
 * Rooms: slots of slabs, and ranges of their own; what is given back is zero when it is taken again. */
#include "core/memory/slab.h"

#include <errno.h>

#include "check.h"

static bool is_zero(const char *bytes, size_t size) {
  while (size-- > 0)
    if (*bytes++ != 0) return false;
  return true;
}

static void sizes_have_their_slots(void) {
  static const size_t sizes[] = {0, 1, 63, 64, 65, 128, 129, 4096, 8191, 8192, 8193, 100000};
  enum { COUNT = sizeof sizes / sizeof *sizes };
  struct braid_room rooms[COUNT];
  for (int i = 0; i < COUNT; i++) {
    check(braid_room_take(&rooms[i], sizes[i]));
    check(rooms[i].offset % 64 == 0 && rooms[i].offset + sizes[i] <= rooms[i].segment->size);
    check((rooms[i].slab != NULL) == (sizes[i] <= 8192) && (rooms[i].range != NULL) == (sizes[i] > 8192));
    check(is_zero(braid_room_data(&rooms[i]), sizes[i]));
    memset(braid_room_data(&rooms[i]), i + 1, sizes[i]);
  }
  for (int i = 0; i < COUNT; i++) {
    const char *bytes = braid_room_data(&rooms[i]);
    for (size_t at = 0; at < sizes[i]; at++) check(bytes[at] == i + 1);
  }
  check(rooms[1].slab == rooms[3].slab && rooms[3].slab != rooms[4].slab); /* one size, one slab */
  for (int i = 0; i < COUNT; i++) braid_room_give(&rooms[i]);
}

/* More than a slab has slots; every slot is used once, and again when it is free. */
static void a_full_slab_is_followed_by_another(void) {
  enum { SLOTS = 512 * 1024 / 64, COUNT = SLOTS + 2 };
  static struct braid_room rooms[COUNT];
  for (int i = 0; i < COUNT; i++) {
    check(braid_room_take(&rooms[i], 64));
    *(int *)braid_room_data(&rooms[i]) = i + 1;
  }
  check(rooms[0].slab == rooms[SLOTS - 1].slab && rooms[SLOTS].slab != rooms[0].slab);
  check(rooms[SLOTS].slab == rooms[SLOTS + 1].slab);
  for (int i = 0; i < COUNT; i++) check(*(int *)braid_room_data(&rooms[i]) == i + 1);
  struct braid_room full = rooms[100], again;
  braid_room_give(&rooms[COUNT - 1]);
  braid_room_give(&rooms[COUNT - 2]); /* the second slab is gone */
  braid_room_give(&rooms[100]);
  check(braid_room_take(&again, 50));
  check(again.slab == full.slab && again.offset == full.offset && is_zero(braid_room_data(&again), 64));
  braid_room_give(&again);
  for (int i = 0; i < SLOTS; i++)
    if (i != 100) braid_room_give(&rooms[i]);
}

/* It is another process's: only the reference is ours. */
static void a_foreign_room_is_a_reference(void) {
  struct braid_shm *segment = braid_shm_new(4096);
  struct braid_room room = {.segment = segment, .offset = 128};
  strcpy(braid_room_data(&room), "theirs");
  braid_shm_ref(segment);
  braid_room_give(&room);
  check(strcmp(segment->base + 128, "theirs") == 0);
  check(braid_shm_find(segment->serial) == segment);
  braid_shm_unref(segment);
  braid_shm_unref(segment);
}

static void too_much_is_refused(void) {
  struct braid_room room;
  errno = 0;
  check(!braid_room_take(&room, SIZE_MAX) && errno == ENOMEM);
}

CHECK_MAIN({"slab: sizes have their slots", sizes_have_their_slots},
           {"slab: a full one is followed by another", a_full_slab_is_followed_by_another},
           {"slab: a foreign room is a reference", a_foreign_room_is_a_reference},
           {"slab: too much is refused", too_much_is_refused})
