/* SPDX-License-Identifier: MIT
 * The registry keeps one encode buffer for each state. It stays busy if an error interrupted its use, and while a
 * message is encoded inside another one. A new buffer then takes its place. */
#include "lua/codec/lencbuf.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

enum {
  KEPT_BYTES = 64 * 1024, /* an encode buffer keeps up to this for the next message */
  FIRST_PLACES = 64,
  KEPT_PLACES = 1024,
  FIRST_OBJECTS = 8,
  MOST_VALUES = 1000 * 1000 * 1000
};
static const size_t MOST_BYTES = (size_t)2 << 30;

static const char ENCBUF; /* registry key */

static void forget_objects(struct encbuf *buffer) {
  for (uint32_t i = 0; i < buffer->object_count; i++) braid_object_unref(buffer->objects[i]);
  buffer->object_count = 0;
}

static int free_encbuf(lua_State *L) {
  struct encbuf *buffer = lua_touserdata(L, 1);
  forget_objects(buffer);
  free(buffer->bytes);
  free(buffer->places);
  free(buffer->objects);
  braid_buffer_term(&buffer->laters);
  braid_buffer_term(&buffer->nodes);
  *buffer = (struct encbuf){.busy = true};
  return 0;
}

struct encbuf *encbuf_open(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &ENCBUF);
  struct encbuf *buffer = lua_touserdata(L, -1);
  if (!buffer || buffer->busy) {
    size_t most_bytes = buffer ? buffer->most_bytes : MOST_BYTES,
           most_values = buffer ? buffer->most_values : MOST_VALUES;
    lua_pop(L, 1);
    buffer = lua_newuserdatauv(L, sizeof *buffer, 0);
    *buffer = (struct encbuf){.most_bytes = most_bytes, .most_values = most_values};
    if (luaL_newmetatable(L, "braid.encbuf")) {
      lua_pushcfunction(L, free_encbuf);
      lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &ENCBUF);
  }
  buffer->busy = true;
  return buffer;
}

void encbuf_limit(lua_State *L, size_t bytes, size_t values) {
  struct encbuf *buffer = encbuf_open(L);
  buffer->most_bytes = bytes;
  buffer->most_values = values;
  encbuf_close(buffer);
  lua_pop(L, 1);
}

bool encbuf_allows(lua_State *L, size_t bytes) {
  struct encbuf *buffer = encbuf_open(L);
  bool allows = bytes <= buffer->most_bytes;
  encbuf_close(buffer);
  lua_pop(L, 1);
  return allows;
}

static void shrink(struct braid_buffer *buffer) {
  buffer->size = 0;
  if (buffer->capacity > KEPT_BYTES) braid_buffer_term(buffer);
}

void encbuf_close(struct encbuf *buffer) {
  forget_objects(buffer);
  if (buffer->place_room > KEPT_PLACES) {
    free(buffer->places);
    buffer->places = NULL;
    buffer->place_room = 0;
  } else if (buffer->place_count > 0) {
    memset(buffer->places, 0, buffer->place_room * sizeof *buffer->places);
  }
  buffer->place_count = 0;
  if (buffer->room > KEPT_BYTES) {
    free(buffer->bytes);
    buffer->bytes = NULL;
    buffer->room = 0;
  }
  shrink(&buffer->laters);
  shrink(&buffer->nodes);
  buffer->busy = false;
}

bool encbuf_reserve(struct encbuf *buffer, size_t room) {
  struct braid_message *bytes = braid_message_draft(buffer->bytes, room);
  if (!bytes) return false;
  buffer->bytes = bytes;
  buffer->room = room;
  return true;
}

static struct encbuf_place *look(struct encbuf_place *places, size_t room, const void *identity) {
  uint64_t address = (uintptr_t)identity;
  size_t at = (size_t)((address >> 4) + ((address >> 16) * UINT64_C(0x9E3779B97F4A7C15) >> 32)) & (room - 1);
  while (places[at].identity && places[at].identity != identity) at = (at + 1) & (room - 1);
  return &places[at];
}

static bool grow_places(struct encbuf *buffer) {
  size_t room = buffer->place_room ? buffer->place_room * 2 : FIRST_PLACES;
  struct encbuf_place *places = calloc(room, sizeof *places);
  if (!places) return false;
  for (size_t i = 0; i < buffer->place_room; i++)
    if (buffer->places[i].identity) *look(places, room, buffer->places[i].identity) = buffer->places[i];
  free(buffer->places);
  buffer->places = places;
  buffer->place_room = room;
  return true;
}

struct encbuf_place *encbuf_find(struct encbuf *buffer, const void *identity) {
  if (buffer->place_count * 2 >= buffer->place_room && !grow_places(buffer)) return NULL;
  return look(buffer->places, buffer->place_room, identity);
}

int64_t encbuf_object(struct encbuf *buffer, struct braid_object *object) {
  struct encbuf_place *found = encbuf_find(buffer, object);
  if (!found) return -1;
  if (found->identity) return (int64_t)found->place;
  if (buffer->object_count == buffer->object_room) {
    uint32_t room = buffer->object_room ? buffer->object_room * 2 : FIRST_OBJECTS;
    struct braid_object **objects = realloc(buffer->objects, room * sizeof *objects);
    if (!objects) return -1;
    buffer->objects = objects;
    buffer->object_room = room;
  }
  braid_object_ref(object);
  buffer->objects[buffer->object_count] = object;
  encbuf_put(buffer, found, object, buffer->object_count);
  return buffer->object_count++;
}

struct braid_message *encbuf_finish(struct encbuf *buffer, size_t size) {
  struct braid_message *message;
  if (buffer->room <= KEPT_BYTES) {
    message = braid_message_take(buffer->bytes->bytes, size, buffer->objects, buffer->object_count);
  } else {
    message = braid_message_seal(buffer->bytes, size, buffer->objects, buffer->object_count);
    if (message) {
      buffer->bytes = NULL;
      buffer->room = 0;
    }
  }
  if (message) buffer->object_count = 0; /* the message has the references */
  encbuf_close(buffer);
  return message;
}
