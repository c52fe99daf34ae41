/* SPDX-License-Identifier: MIT
 * Values by their keys. Changes are made by whoever holds the dict's lock, or by anybody while nobody holds it: so an
 * update that takes a while is atomic. Any thread; blocks only for the guard. */
#ifndef BRAID_DICT_H
#define BRAID_DICT_H

#include "core/base/buffer.h"
#include "core/sync/primitives.h"
#include "core/sync/message.h"

/* A string, number or boolean. Floats that are whole are integers, as keys of Lua's tables are; none is a NaN. */
struct braid_key {
  uint8_t tag;       /* BRAID_ITEM_INTEGER, _NUMBER, _TRUE, _FALSE; BRAID_ITEM_NONE: a string */
  uint64_t bits;     /* of numbers; a string's size */
  const char *bytes; /* of a string */
};

struct braid_dict_entry {
  uint64_t hash;        /* 0: the place is free */
  struct braid_key key; /* with bytes of its own */
  struct braid_item item;
};

struct braid_dict {
  struct braid_object object;
  struct braid_primitive *lock;     /* its guard is the guard of the entries, too */
  struct braid_dict_entry *entries; /* each stands at its hash's place, or behind it with no gap between */
  size_t capacity, size;
};

extern const struct braid_class braid_dict_class;

/* NULL when memory is out. */
struct braid_dict *braid_dict_new(void);

/* The value, which is the caller's: with a reference of its own when it is a message. False: the key has none. */
bool braid_dict_get(struct braid_dict *dict, const struct braid_key *key, struct braid_item *item);

/* BRAID_OK: the dict has the item; BRAID_ITEM_NONE takes the key out. Otherwise the caller keeps it: BRAID_EMPTY:
 * somebody other than `owner` holds the lock, BRAID_NO_MEMORY. */
enum braid_status braid_dict_set(struct braid_dict *dict, const struct braid_key *key, struct braid_item item,
                                 uint64_t owner);

size_t braid_dict_size(struct braid_dict *dict);

/* Appends all keys. False when memory is out. */
bool braid_dict_keys(struct braid_dict *dict, struct braid_buffer *keys);

/* Keys as bytes: false when memory is out; where the one that begins at `at` ends, NULL when it is cut short. */
bool braid_key_write(struct braid_buffer *buffer, const struct braid_key *key);
const char *braid_key_read(struct braid_key *key, const char *at, const char *end);

/* A holder gives its reference up: when only the dict's own values mention it then, they are dropped, which frees it.
 */
void braid_dict_leave(struct braid_dict *dict);

#endif
