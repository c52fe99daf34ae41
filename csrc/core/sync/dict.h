/* SPDX-License-Identifier: MIT
 * A shared hash map. The dict has a lock. While somebody holds the lock, only the holder may change the dict; while
 * nobody does, anybody may. So a task that holds the lock can read, compute and write as one atomic step. Any thread;
 * each function blocks only to enter the guard, which others hold for a short time. */
#ifndef BRAID_DICT_H
#define BRAID_DICT_H

#include "core/base/buffer.h"
#include "core/sync/primitives.h"
#include "core/sync/message.h"

/* A string, number or boolean. A float with an integer value is stored as an integer, as in Lua's tables. NaN is no
 * key. */
struct braid_key {
  uint8_t tag;       /* BRAID_ITEM_INTEGER, _NUMBER, _TRUE or _FALSE; BRAID_ITEM_NONE: a string */
  uint64_t bits;     /* the number's bits, or the string's size */
  const char *bytes; /* of a string */
};

struct braid_dict_entry {
  uint64_t hash;        /* 0: the entry is free */
  struct braid_key key; /* a string's bytes belong to the entry */
  struct braid_item item;
};

struct braid_dict {
  struct braid_object object;
  struct braid_primitive *lock;     /* its guard also protects the entries */
  struct braid_dict_entry *entries; /* linear probing: no gap between hash and entry */
  size_t capacity, size;
};

extern const struct braid_class braid_dict_class;

/* NULL when memory is out. */
struct braid_dict *braid_dict_new(void);

/* Copies the key's value to *item. The caller owns it: for a message it gets a new reference. False: the key has no
 * value. */
bool braid_dict_get(struct braid_dict *dict, const struct braid_key *key, struct braid_item *item);

/* BRAID_OK: the dict owns the item; a BRAID_ITEM_NONE removes the key. Otherwise the caller keeps the item.
 * BRAID_EMPTY: somebody other than `owner` holds the lock. BRAID_NO_MEMORY. */
enum braid_status braid_dict_set(struct braid_dict *dict, const struct braid_key *key, struct braid_item item,
                                 uint64_t owner);

size_t braid_dict_size(struct braid_dict *dict);

/* Appends all keys to the buffer, each written by braid_key_write. False when memory is out. */
bool braid_dict_keys(struct braid_dict *dict, struct braid_buffer *keys);

/* Serialized keys. braid_key_write: false when memory is out. braid_key_read returns the end of the key that begins at
 * `at`; NULL when the key is cut short. The bytes of a string that was read are those of the input. Any thread; do not
 * block. */
bool braid_key_write(struct braid_buffer *buffer, const struct braid_key *key);
const char *braid_key_read(struct braid_key *key, const char *at, const char *end);

/* Gives up one reference of a holder. If after that only the dict's own values refer to the dict, nobody can reach it
 * any more. Then all values are dropped, which frees the dict. */
void braid_dict_leave(struct braid_dict *dict);

#endif
