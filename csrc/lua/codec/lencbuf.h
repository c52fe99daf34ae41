/* SPDX-License-Identifier: MIT
 * A message that is being written: its bytes, the objects it mentions, and which value stands where. A userdata, so
 * that nothing is lost when writing raises; the state keeps one for the next message. The state's own thread. */
#ifndef BRAID_LENCBUF_H
#define BRAID_LENCBUF_H

#include <lua.h>

#include "core/base/buffer.h"
#include "core/sync/message.h"

struct encbuf_place {
  const void *identity; /* NULL: free */
  size_t place;
};

struct encbuf {
  struct braid_message *bytes; /* NULL: no room yet */
  size_t room;
  struct encbuf_place *places; /* a hash table; its size is a power of two */
  size_t place_room, place_count;
  struct braid_object **objects; /* with a reference each */
  uint32_t object_room, object_count;
  struct braid_buffer laters; /* values that were put off */
  struct braid_buffer nodes;  /* the ways to them */
  bool busy;
};

/* Pushes an empty encode buffer. Raises when memory is out. */
struct encbuf *encbuf_open(lua_State *L);

/* The buffer is empty and free for the next message. */
void encbuf_close(struct encbuf *buffer);

/* Room for so many bytes in all; false when memory is out. What is written stays. */
bool encbuf_reserve(struct encbuf *buffer, size_t room);

/* The place of what has this identity: a free one, whose identity is NULL, when it is new. NULL: memory is out. */
struct encbuf_place *encbuf_find(struct encbuf *buffer, const void *identity);

/* Fills a free place. */
static inline void encbuf_put(struct encbuf *buffer, struct encbuf_place *found, const void *identity, size_t place) {
  found->identity = identity;
  found->place = place;
  buffer->place_count++;
}

/* The object's number in the message; -1: memory is out. */
int64_t encbuf_object(struct encbuf *buffer, struct braid_object *object);

/* The message of the first `size` bytes, or NULL when memory is out; the encode buffer is closed. */
struct braid_message *encbuf_finish(struct encbuf *buffer, size_t size);

#endif
