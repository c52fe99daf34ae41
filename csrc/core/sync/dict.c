/* SPDX-License-Identifier: MIT
 * Reference-counted. The lock's guard protects the entries. Items are dropped outside the guard. */
#include "core/sync/dict.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 8 };

static void clear(struct braid_dict_entry *entries, size_t capacity) {
  for (size_t i = 0; i < capacity; i++) {
    if (entries[i].hash == 0) continue;
    free((char *)(uintptr_t)entries[i].key.bytes);
    braid_item_drop(entries[i].item);
  }
  free(entries);
}

static void destroy(struct braid_object *object) {
  struct braid_dict *dict = braid_container(object, struct braid_dict, object);
  clear(dict->entries, dict->capacity);
  braid_object_unref(&dict->lock->object);
  free(dict);
}

const struct braid_class braid_dict_class = {"braid.dict", destroy};

struct braid_dict *braid_dict_new(void) {
  struct braid_dict *dict = calloc(1, sizeof *dict);
  if (!dict) return NULL;
  dict->lock = braid_primitive_new(&braid_lock_class, 0, 0);
  if (!dict->lock) {
    free(dict);
    return NULL;
  }
  braid_object_init(&dict->object, &braid_dict_class);
  return dict;
}

static void enter(struct braid_dict *dict) { braid_guard_enter(&dict->lock->object.guard); }
static void leave(struct braid_dict *dict) { braid_guard_leave(&dict->lock->object.guard); }

/* ---- hash table ----------------------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t bits) {
  bits = (bits ^ bits >> 32) * UINT64_C(0xd6e8feb86659fd93);
  return bits ^ bits >> 32;
}

static uint64_t hash_of(const struct braid_key *key) {
  uint64_t hash = mix(key->bits + key->tag);
  if (key->tag == BRAID_ITEM_NONE)
    for (size_t i = 0; i < key->bits; i++) hash = (hash ^ (unsigned char)key->bytes[i]) * UINT64_C(0x100000001b3);
  hash = mix(hash);
  return hash ? hash : 1;
}

static bool same(const struct braid_key *a, const struct braid_key *b) {
  if (a->tag != b->tag || a->bits != b->bits) return false;
  return a->tag != BRAID_ITEM_NONE || memcmp(a->bytes, b->bytes, a->bits) == 0;
}

/* Returns the key's entry, or the free entry where it would go. There is always a free entry. */
static struct braid_dict_entry *find(struct braid_dict *dict, const struct braid_key *key, uint64_t hash) {
  size_t at = hash & (dict->capacity - 1);
  while (dict->entries[at].hash != 0 && !(dict->entries[at].hash == hash && same(&dict->entries[at].key, key)))
    at = (at + 1) & (dict->capacity - 1);
  return &dict->entries[at];
}

static bool grow(struct braid_dict *dict) {
  struct braid_dict old = *dict;
  size_t capacity = old.capacity ? old.capacity * 2 : FIRST_CAPACITY;
  struct braid_dict_entry *entries = calloc(capacity, sizeof *entries);
  if (!entries) return false;
  dict->entries = entries;
  dict->capacity = capacity;
  for (size_t i = 0; i < old.capacity; i++)
    if (old.entries[i].hash) *find(dict, &old.entries[i].key, old.entries[i].hash) = old.entries[i];
  free(old.entries);
  return true;
}

/* Moves entries behind the gap up, as far as a search would otherwise stop at the gap and not find them. */
static void close_gap(struct braid_dict *dict, size_t gap) {
  size_t mask = dict->capacity - 1;
  for (size_t at = (gap + 1) & mask; dict->entries[at].hash != 0; at = (at + 1) & mask) {
    size_t home = dict->entries[at].hash & mask;
    if (((at - home) & mask) < ((at - gap) & mask)) continue;
    dict->entries[gap] = dict->entries[at];
    gap = at;
  }
  dict->entries[gap].hash = 0;
}

/* ---- values --------------------------------------------------------------------------------------------------- */

bool braid_dict_get(struct braid_dict *dict, const struct braid_key *key, struct braid_item *item) {
  uint64_t hash = hash_of(key);
  enter(dict);
  struct braid_dict_entry *entry = dict->size ? find(dict, key, hash) : NULL;
  bool found = entry && entry->hash != 0;
  if (found) {
    *item = entry->item;
    if (item->tag == BRAID_ITEM_MESSAGE) braid_message_ref((struct braid_message *)(uintptr_t)item->bits);
  }
  leave(dict);
  return found;
}

static bool add(struct braid_dict *dict, const struct braid_key *key, uint64_t hash, struct braid_item item) {
  if (dict->size >= dict->capacity / 4 * 3 && !grow(dict)) return false;
  struct braid_dict_entry entry = {hash, *key, item};
  if (key->tag == BRAID_ITEM_NONE) {
    char *bytes = malloc(key->bits + 1);
    if (!bytes) return false;
    memcpy(bytes, key->bytes, key->bits);
    entry.key.bytes = bytes;
  }
  *find(dict, key, hash) = entry;
  dict->size++;
  return true;
}

enum braid_status braid_dict_set(struct braid_dict *dict, const struct braid_key *key, struct braid_item item,
                                 uint64_t owner) {
  uint64_t hash = hash_of(key);
  struct braid_dict_entry old = {0};
  enum braid_status status = BRAID_OK;
  enter(dict);
  struct braid_dict_entry *entry = dict->size ? find(dict, key, hash) : NULL;
  bool found = entry && entry->hash != 0;
  if (dict->lock->owner != 0 && dict->lock->owner != owner) {
    status = BRAID_EMPTY;
  } else if (item.tag == BRAID_ITEM_NONE) {
    if (found) {
      old = *entry;
      close_gap(dict, (size_t)(entry - dict->entries));
      dict->size--;
    }
  } else if (found) {
    old.item = entry->item;
    entry->item = item;
  } else if (!add(dict, key, hash, item)) {
    status = BRAID_NO_MEMORY;
  }
  leave(dict);
  free((char *)(uintptr_t)old.key.bytes);
  braid_item_drop(old.item);
  return status;
}

size_t braid_dict_size(struct braid_dict *dict) {
  enter(dict);
  size_t size = dict->size;
  leave(dict);
  return size;
}

bool braid_dict_keys(struct braid_dict *dict, struct braid_buffer *keys) {
  bool written = true;
  enter(dict);
  for (size_t i = 0; i < dict->capacity && written; i++)
    if (dict->entries[i].hash) written = braid_key_write(keys, &dict->entries[i].key);
  leave(dict);
  return written;
}

/* ---- keys as bytes: the tag, the bits, a string's bytes ------------------------------------------------------- */

bool braid_key_write(struct braid_buffer *buffer, const struct braid_key *key) {
  size_t size = key->tag == BRAID_ITEM_NONE ? key->bits : 0;
  char *at = braid_buffer_reserve(buffer, 1 + sizeof key->bits + size);
  if (!at) return false;
  *at = (char)key->tag;
  memcpy(at + 1, &key->bits, sizeof key->bits);
  if (size) memcpy(at + 1 + sizeof key->bits, key->bytes, size);
  buffer->size += 1 + sizeof key->bits + size;
  return true;
}

const char *braid_key_read(struct braid_key *key, const char *at, const char *end) {
  if ((size_t)(end - at) < 1 + sizeof key->bits) return NULL;
  *key = (struct braid_key){.tag = (uint8_t)*at};
  memcpy(&key->bits, at + 1, sizeof key->bits);
  at += 1 + sizeof key->bits;
  if (key->tag != BRAID_ITEM_NONE) return at;
  key->bytes = at;
  return key->bits <= (size_t)(end - at) ? at + key->bits : NULL;
}

/* --------------------------------------------------------------------------------------------------------------- */

void braid_dict_leave(struct braid_dict *dict) {
  struct braid_guard *guard = &dict->lock->object.guard;
  struct braid_dict rest = {0};
  unsigned mentions = 0;
  braid_guard_enter(guard);
  for (size_t i = 0; i < dict->capacity; i++)
    if (dict->entries[i].hash) mentions += braid_item_mentions(dict->entries[i].item, &dict->object);
  unsigned left = braid_object_resign(&dict->object); /* from here on another thread may end the dict, unless all
                                                         references left are in its own values */
  if (left > 0 && left == mentions) {
    rest.entries = dict->entries;
    rest.capacity = dict->capacity;
    dict->entries = NULL;
    dict->capacity = dict->size = 0;
  }
  braid_guard_leave(guard);
  if (left == 0) braid_object_end(&dict->object);
  clear(rest.entries, rest.capacity);
}
