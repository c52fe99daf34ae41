/* SPDX-License-Identifier: MIT
 * The registry has the state's draft. A draft that was left in the middle, because an error of Lua's went through, or
 * is in use because this is a message within a message, stays busy: then a new one takes its place. */
#include "lua/codec/lencbuf.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

enum {
  KEPT_BYTES = 64 * 1024, /* what a draft keeps for the next message */
  FIRST_PLACES = 64,
  KEPT_PLACES = 1024,
  FIRST_OBJECTS = 8
};

static const char DRAFT; /* the registry's key */

static void forget_objects(struct draft *draft) {
  for (uint32_t i = 0; i < draft->object_count; i++) braid_object_unref(draft->objects[i]);
  draft->object_count = 0;
}

static int free_draft(lua_State *L) {
  struct draft *draft = lua_touserdata(L, 1);
  forget_objects(draft);
  free(draft->bytes);
  free(draft->places);
  free(draft->objects);
  braid_buffer_term(&draft->laters);
  braid_buffer_term(&draft->nodes);
  *draft = (struct draft){.busy = true};
  return 0;
}

struct draft *draft_open(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &DRAFT);
  struct draft *draft = lua_touserdata(L, -1);
  if (!draft || draft->busy) {
    lua_pop(L, 1);
    draft = lua_newuserdatauv(L, sizeof *draft, 0);
    *draft = (struct draft){0};
    if (luaL_newmetatable(L, "braid.draft")) {
      lua_pushcfunction(L, free_draft);
      lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &DRAFT);
  }
  draft->busy = true;
  return draft;
}

static void shrink(struct braid_buffer *buffer) {
  buffer->size = 0;
  if (buffer->capacity > KEPT_BYTES) braid_buffer_term(buffer);
}

void draft_close(struct draft *draft) {
  forget_objects(draft);
  if (draft->place_room > KEPT_PLACES) {
    free(draft->places);
    draft->places = NULL;
    draft->place_room = 0;
  } else if (draft->place_count > 0) {
    memset(draft->places, 0, draft->place_room * sizeof *draft->places);
  }
  draft->place_count = 0;
  if (draft->room > KEPT_BYTES) {
    free(draft->bytes);
    draft->bytes = NULL;
    draft->room = 0;
  }
  shrink(&draft->laters);
  shrink(&draft->nodes);
  draft->busy = false;
}

bool draft_reserve(struct draft *draft, size_t room) {
  struct braid_message *bytes = braid_message_draft(draft->bytes, room);
  if (!bytes) return false;
  draft->bytes = bytes;
  draft->room = room;
  return true;
}

static struct draft_place *look(struct draft_place *places, size_t room, const void *identity) {
  uint64_t address = (uintptr_t)identity;
  size_t at = (size_t)((address >> 4) + ((address >> 16) * UINT64_C(0x9E3779B97F4A7C15) >> 32)) & (room - 1);
  while (places[at].identity && places[at].identity != identity) at = (at + 1) & (room - 1);
  return &places[at];
}

static bool grow_places(struct draft *draft) {
  size_t room = draft->place_room ? draft->place_room * 2 : FIRST_PLACES;
  struct draft_place *places = calloc(room, sizeof *places);
  if (!places) return false;
  for (size_t i = 0; i < draft->place_room; i++)
    if (draft->places[i].identity) *look(places, room, draft->places[i].identity) = draft->places[i];
  free(draft->places);
  draft->places = places;
  draft->place_room = room;
  return true;
}

struct draft_place *draft_find(struct draft *draft, const void *identity) {
  if (draft->place_count * 2 >= draft->place_room && !grow_places(draft)) return NULL;
  return look(draft->places, draft->place_room, identity);
}

int64_t draft_object(struct draft *draft, struct braid_object *object) {
  struct draft_place *found = draft_find(draft, object);
  if (!found) return -1;
  if (found->identity) return (int64_t)found->place;
  if (draft->object_count == draft->object_room) {
    uint32_t room = draft->object_room ? draft->object_room * 2 : FIRST_OBJECTS;
    struct braid_object **objects = realloc(draft->objects, room * sizeof *objects);
    if (!objects) return -1;
    draft->objects = objects;
    draft->object_room = room;
  }
  braid_object_ref(object);
  draft->objects[draft->object_count] = object;
  draft_put(draft, found, object, draft->object_count);
  return draft->object_count++;
}

struct braid_message *draft_finish(struct draft *draft, size_t size) {
  struct braid_message *message;
  if (draft->room <= KEPT_BYTES) {
    message = braid_message_new(draft->bytes->bytes, size, draft->objects, draft->object_count);
  } else {
    message = braid_message_seal(draft->bytes, size, draft->objects, draft->object_count);
    if (message) {
      draft->bytes = NULL;
      draft->room = 0;
    }
  }
  draft_close(draft);
  return message;
}
