/* SPDX-License-Identifier: MIT
 * The parts of a writer that do not depend on the type of the values. */
#include "lua/codec/lwriter.h"

#include <lauxlib.h>
#include <stdarg.h>

#include "lua/codec/lcodec.h"
#include "lua/base/lerror.h"
#include "lua/codec/lname.h"
#include "lua/base/lposition.h"

enum { FIRST_ROOM = 1024 };

enum slot { ENCBUF, NAMES, KEPT };

static int slot(const struct writer *w, enum slot which) { return w->base + (int)which; }

static void set_end(struct writer *w) {
  size_t room = w->buffer->room;
  w->end = writer_start(w) + (room < w->buffer->most_bytes ? room : w->buffer->most_bytes);
}

void writer_open(struct writer *w, lua_State *L, const char *what) {
  luaL_checkstack(L, 20, NULL);
  *w = (struct writer){.L = L, .what = what, .base = lua_gettop(L) + 1};
  w->buffer = encbuf_open(L);
  lua_pushnil(L);
  lua_pushnil(L);
  w->nodes = (struct path_nodes){.buffer = &w->buffer->nodes, .kept = slot(w, KEPT)};
  w->values_left = w->buffer->most_values;
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  w->globals = lua_topointer(L, -1);
  lua_pop(L, 1);
  if (!w->buffer->room && !encbuf_reserve(w->buffer, FIRST_ROOM)) writer_raise_memory(w);
  w->at = writer_start(w);
  set_end(w);
}

struct braid_message *writer_close(struct writer *w) {
  struct braid_message *message = encbuf_finish(w->buffer, writer_place(w));
  lua_settop(w->L, w->base - 1);
  return message;
}

void writer_discard(struct writer *w) {
  encbuf_close(w->buffer);
  lua_settop(w->L, w->base - 1);
}

void writer_refuse(struct writer *w, const char *format, ...) {
  va_list arguments;
  path_push(w->L, w->frame, &w->nodes, w->what);
  va_start(arguments, format);
  lua_pushvfstring(w->L, format, arguments);
  va_end(arguments);
  encbuf_close(w->buffer);
  position_where(w->L, 1);
  lerror_raise(w->L, "not_sendable", "%s%s: %s", lua_tostring(w->L, -1), lua_tostring(w->L, -3),
               lua_tostring(w->L, -2));
}

void writer_raise_memory(struct writer *w) {
  encbuf_close(w->buffer);
  lerror_memory(w->L);
}

/* ---- bytes ---------------------------------------------------------------------------------------------------- */

void writer_grow(struct writer *w, size_t more) {
  size_t used = writer_place(w), most = w->buffer->most_bytes;
  if (more > most || used > most - more)
    writer_refuse(w, "with this the message would be larger than %I bytes, which is the limit", (LUAI_UACINT)most);
  size_t room = used + more + WRITER_MARGIN;
  if (room < w->buffer->room * 2) room = w->buffer->room * 2;
  if (!encbuf_reserve(w->buffer, room)) writer_raise_memory(w);
  w->at = writer_start(w) + used;
  set_end(w);
}

static void put_integer(struct writer *w, lua_Integer value) {
  int32_t four = (int32_t)value;
  int16_t two = (int16_t)value;
  if ((lua_Unsigned)value < WIRE_SMALL) {
    *w->at++ = (uint8_t)(WIRE_SMALL | value);
  } else if (value == two) {
    *w->at++ = WIRE_INT16;
    writer_raw(w, &two, sizeof two);
  } else if (value == four) {
    *w->at++ = WIRE_INT32;
    writer_raw(w, &four, sizeof four);
  } else {
    *w->at++ = WIRE_INT64;
    writer_raw(w, &value, sizeof value);
  }
}

void writer_number(struct writer *w, int index) {
  writer_need(w, WRITER_MARGIN);
  if (lua_isinteger(w->L, index)) {
    put_integer(w, lua_tointeger(w->L, index));
    return;
  }
  lua_Number value = lua_tonumber(w->L, index);
  *w->at++ = WIRE_FLOAT;
  writer_raw(w, &value, sizeof value);
}

/* ---- identity ------------------------------------------------------------------------------------------------- */

struct encbuf_place *writer_find(struct writer *w, const void *identity) {
  struct encbuf_place *found = encbuf_find(w->buffer, identity);
  if (!found) writer_raise_memory(w);
  return found;
}

bool writer_repeat(struct writer *w, const void *identity) {
  struct encbuf_place *found = writer_find(w, identity);
  if (!found->identity) {
    encbuf_put(w->buffer, found, identity, writer_place(w));
    return false;
  }
  if (found->place & WRITER_UNFINISHED) writer_refuse(w, "what __braid_pack returned mentions the packed value itself");
  writer_start(w)[found->place] |= WIRE_KEPT;
  writer_tag(w, WIRE_BACK, found->place);
  return true;
}

void writer_string(struct writer *w, int index) {
  size_t size;
  const char *text = lua_tolstring(w->L, index, &size);
  if (size > 2 && writer_repeat(w, text)) return; /* a shorter string is not worth a reference */
  writer_need(w, size + WRITER_MARGIN);
  *w->at++ = WIRE_STRING;
  writer_size(w, size);
  writer_raw(w, text, size);
}

size_t writer_object(struct writer *w, struct braid_object *object) {
  int64_t number = encbuf_object(w->buffer, object);
  if (number < 0) writer_raise_memory(w);
  return (size_t)number;
}

/* ---- names ---------------------------------------------------------------------------------------------------- */

static void open_names(struct writer *w) {
  if (!lua_isnil(w->L, slot(w, NAMES))) return;
  lname_table(w->L);
  lua_replace(w->L, slot(w, NAMES));
}

/* Updates the table of names. True if it was out of date: all must be encoded again. */
static bool update_names(struct writer *w) {
  if (w->updated) return false;
  open_names(w);
  w->updated = true;
  w->stale = lname_update(w->L, slot(w, NAMES));
  return w->stale;
}

bool writer_name(struct writer *w, bool likely) {
  open_names(w);
  lua_pushvalue(w->L, -1);
  bool named = lua_rawget(w->L, slot(w, NAMES)) == LUA_TSTRING;
  if (named) {
    writer_byte(w, WIRE_NAME);
    writer_string(w, -1);
  }
  lua_pop(w->L, 1);
  return named || (likely && update_names(w));
}

bool writer_class(struct writer *w) {
  lua_State *L = w->L;
  int top = lua_gettop(L);
  lua_pushliteral(L, "__name");
  bool known = lua_rawget(L, top) == LUA_TSTRING;
  if (known) {
    lua_pushvalue(L, -1);
    known = lua_rawget(L, LUA_REGISTRYINDEX) == LUA_TTABLE && lua_rawequal(L, -1, top);
  }
  if (known) {
    writer_byte(w, WIRE_CLASS);
    writer_string(w, top + 1);
  }
  lua_settop(L, top);
  return known;
}

void writer_give_up(struct writer *w, const char *kind, const char *hint) {
  if (!update_names(w)) writer_refuse(w, "%s cannot be sent%s", kind, hint);
}

/* ---- values that are written later ----------------------------------------------------------------------------- */

int writer_keep(struct writer *w) {
  if (lua_isnil(w->L, slot(w, KEPT))) {
    lua_newtable(w->L);
    lua_replace(w->L, slot(w, KEPT));
  }
  lua_rawseti(w->L, slot(w, KEPT), ++w->nodes.kept_count);
  return w->nodes.kept_count;
}

void writer_put_off(struct writer *w, size_t place) {
  writer_start(w)[place] |= WIRE_KEPT;
  lua_pushvalue(w->L, -1);
  struct later later = {.place = place, .kept = writer_keep(w)};
  later.node = path_keep(w->L, w->frame, &w->nodes);
  if (!braid_buffer_append(&w->buffer->laters, &later, sizeof later)) writer_raise_memory(w);
}

bool writer_next_later(struct writer *w, struct later *later) {
  if (w->laters_done == w->buffer->laters.size || w->stale) return false;
  memcpy(later, w->buffer->laters.data + w->laters_done, sizeof *later);
  w->laters_done += sizeof *later;
  lua_rawgeti(w->L, slot(w, KEPT), later->kept);
  return true;
}
