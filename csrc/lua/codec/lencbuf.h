/* SPDX-License-Identifier: MIT
 * A message under construction: its bytes, the objects that it refers to, and the place of each value. It is a
 * userdata, so nothing leaks when encoding raises. The state keeps one for the next message. The state's own thread. */
#ifndef BRAID_LENCBUF_H
#define BRAID_LENCBUF_H

#include <lua.h>

#include "core/base/buffer.h"
#include "core/sync/message.h"

struct encbuf_place {
  const void *identity; /* NULL: a free entry */
  size_t place;
};

struct encbuf {
  struct braid_message *bytes; /* NULL: not allocated yet */
  size_t room;
  struct encbuf_place *places; /* a hash table; its size is a power of two */
  size_t place_room, place_count;
  struct braid_object **objects; /* each with a reference */
  uint32_t object_room, object_count;
  struct braid_buffer laters;     /* values that will be written later */
  struct braid_buffer nodes;      /* the paths to them */
  size_t most_bytes, most_values; /* the limits of a message */
  bool busy;
};

/* Pushes an empty encode buffer. Raises when memory is out. */
struct encbuf *encbuf_open(lua_State *L);

/* Sets the limits of this state's messages. Raises when memory is out. */
void encbuf_limit(lua_State *L, size_t bytes, size_t values);

/* Whether they allow a message of one value with so many bytes. Raises when memory is out. */
bool encbuf_allows(lua_State *L, size_t bytes);

/* Empties the buffer and makes it available for the next message. */
void encbuf_close(struct encbuf *buffer);

/* Makes room for `room` bytes in total and keeps the content. False when memory is out. */
bool encbuf_reserve(struct encbuf *buffer, size_t room);

/* Looks up the entry with this identity. If there is none, returns a free entry (its identity is NULL). NULL: memory is
 * out. */
struct encbuf_place *encbuf_find(struct encbuf *buffer, const void *identity);

/* Fills a free entry. */
static inline void encbuf_put(struct encbuf *buffer, struct encbuf_place *found, const void *identity, size_t place) {
  found->identity = identity;
  found->place = place;
  buffer->place_count++;
}

/* The object's index in the message, which it is added to if necessary. -1: memory is out. */
int64_t encbuf_object(struct encbuf *buffer, struct braid_object *object);

/* Makes a message of the first `size` bytes and closes the buffer. NULL when memory is out. */
struct braid_message *encbuf_finish(struct encbuf *buffer, size_t size);

#endif
