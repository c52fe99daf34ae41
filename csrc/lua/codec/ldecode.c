/* SPDX-License-Identifier: MIT
 * Decodes values. It checks every byte: malformed messages are refused and do no harm.
 *
 * On the Lua stack: the table of values that are referred to again, by place (nil until it is needed); then values. */
#include <lauxlib.h>
#include <string.h>

#include "lua/codec/lcode.h"
#include "lua/codec/lcodec.h"
#include "lua/base/lerror.h"
#include "lua/base/lregistry.h"
#include "lua/codec/lname.h"
#include "lua/sched/lobject.h"
#include "lua/codec/lwire.h"

struct decoder {
  lua_State *L;
  const struct braid_message *message;
  const uint8_t *start, *at, *end;
  int kept; /* the stack index of that table */
  int depth, packed;
};

static void get_value(struct decoder *d);

/* ---- bytes ---------------------------------------------------------------------------------------------------- */

static void refuse(const struct decoder *d) {
  lerror_raise(d->L, "not_sendable", "these bytes are no message (at %I)", (LUAI_UACINT)(d->at - d->start));
}

static inline size_t left(const struct decoder *d) { return (size_t)(d->end - d->at); }

static inline void need(const struct decoder *d, size_t count) {
  if (left(d) < count) refuse(d);
}

static inline uint8_t get_byte(struct decoder *d) {
  need(d, 1);
  return *d->at++;
}

static size_t get_size(struct decoder *d) {
  size_t size = 0;
  for (unsigned shift = 0; shift < sizeof size * 8; shift += 7) {
    uint8_t byte = get_byte(d);
    size |= (size_t)(byte & 0x7F) << shift;
    if (byte < 0x80) return size;
  }
  refuse(d);
  return 0;
}

/* A size that must fit into an int. */
static int get_count(struct decoder *d) {
  size_t count = get_size(d);
  if (count > INT32_MAX) refuse(d);
  return (int)count;
}

static inline void get_raw(struct decoder *d, void *into, size_t size) {
  need(d, size);
  memcpy(into, d->at, size);
  d->at += size;
}

static void get_int16(struct decoder *d) {
  int16_t value;
  get_raw(d, &value, sizeof value);
  lua_pushinteger(d->L, value);
}

static void get_int32(struct decoder *d) {
  int32_t value;
  get_raw(d, &value, sizeof value);
  lua_pushinteger(d->L, value);
}

static void get_int64(struct decoder *d) {
  lua_Integer value;
  get_raw(d, &value, sizeof value);
  lua_pushinteger(d->L, value);
}

static void get_float(struct decoder *d) {
  lua_Number value;
  get_raw(d, &value, sizeof value);
  lua_pushnumber(d->L, value);
}

static void get_string(struct decoder *d) {
  size_t size = get_size(d);
  need(d, size);
  lua_pushlstring(d->L, (const char *)d->at, size);
  d->at += size;
}

static struct braid_object *get_object(struct decoder *d, bool code) {
  size_t number = get_size(d);
  if (number >= d->message->object_count) refuse(d);
  struct braid_object *object = d->message->objects[number];
  if (code && object->class != &braid_bytecode_class) refuse(d);
  return object;
}

static struct braid_bytecode *get_code(struct decoder *d) {
  return braid_container(get_object(d, true), struct braid_bytecode, object);
}

/* ---- values that are referred to again ------------------------------------------------------------------------ */

/* Keeps the value on the top of the stack: it is the one at `place`. */
static void keep(struct decoder *d, const uint8_t *place) {
  lua_State *L = d->L;
  if (lua_isnil(L, d->kept)) {
    lua_newtable(L);
    lua_replace(L, d->kept);
  }
  lua_pushvalue(L, -1);
  lua_rawseti(L, d->kept, place - d->start);
}

/* Reads a place and pushes the value there. Returns its type. */
static int get_kept(struct decoder *d) {
  size_t place = get_size(d);
  if (lua_isnil(d->L, d->kept)) refuse(d);
  int type = lua_rawgeti(d->L, d->kept, (lua_Integer)place);
  if (type == LUA_TNIL) refuse(d);
  return type;
}

/* ---- tables --------------------------------------------------------------------------------------------------- */

static void get_sequence(struct decoder *d, lua_Integer count) {
  lua_State *L = d->L;
  for (lua_Integer i = 1; i <= count; i++) {
    uint8_t tag = left(d) > sizeof(int32_t) ? *d->at : WIRE_END;
    if (tag >= WIRE_SMALL) {
      lua_pushinteger(L, *d->at++ & ~WIRE_SMALL);
    } else if (tag == WIRE_INT32) {
      d->at++;
      get_int32(d);
    } else {
      get_value(d);
    }
    lua_rawseti(L, -2, i);
  }
}

static void get_pairs(struct decoder *d) {
  lua_State *L = d->L;
  for (;;) {
    need(d, 1);
    if (*d->at == WIRE_END) break;
    get_value(d);
    if (lua_isnil(L, -1) || (lua_type(L, -1) == LUA_TNUMBER && lua_tonumber(L, -1) != lua_tonumber(L, -1))) refuse(d);
    get_value(d);
    lua_rawset(L, -3);
  }
  d->at++;
}

/* Reads the content of a table, after the tag. `new`: makes the table. Else it is on the top of the stack. */
static void get_table(struct decoder *d, enum wire_tag tag, const uint8_t *keep_at, bool new) {
  lua_State *L = d->L;
  uint32_t count = 0;
  uint8_t hint = get_byte(d);
  if (tag == WIRE_ARRAY || tag == WIRE_ARRAY_META) get_raw(d, &count, sizeof count);
  if (count > left(d) || count > INT32_MAX || hint > 31) refuse(d);
  size_t pairs = hint ? (size_t)1 << (hint - 1) : 0;
  if (pairs > left(d)) pairs = left(d);
  if (++d->depth > WIRE_MOST_DEPTH + 1) refuse(d);
  if (!lua_checkstack(L, 10)) lerror_memory(L);
  if (new) lua_createtable(L, (int)count, (int)pairs);
  if (keep_at) keep(d, keep_at);
  get_sequence(d, count);
  get_pairs(d);
  if (tag == WIRE_RECORD_META || tag == WIRE_ARRAY_META) {
    get_value(d);
    if (!lua_istable(L, -1)) refuse(d);
    lua_setmetatable(L, -2);
  }
  d->depth--;
}

/* ---- functions ------------------------------------------------------------------------------------------------ */

/* Joins upvalue `number` of the function on the top of the stack with an upvalue of another function: from then on both
 * are the same variable. */
static void join(struct decoder *d, int number) {
  lua_State *L = d->L;
  if (get_kept(d) != LUA_TFUNCTION || lua_iscfunction(L, -1)) refuse(d);
  int other = get_count(d);
  if (!lua_upvalueid(L, -1, other) || !lua_upvalueid(L, -2, number)) refuse(d);
  lua_upvaluejoin(L, -2, number, -1, other);
  lua_pop(L, 1);
}

/* Reads the upvalues of the function on the top of the stack. */
static void get_upvalues(struct decoder *d) {
  int count = get_count(d);
  if (++d->depth > WIRE_MOST_DEPTH + 1) refuse(d);
  if (!lua_checkstack(d->L, 10)) lerror_memory(d->L);
  for (int i = 1; i <= count; i++) {
    need(d, 1);
    if (*d->at == WIRE_JOIN) {
      d->at++;
      join(d, i);
    } else {
      get_value(d);
      if (!lua_setupvalue(d->L, -2, i)) refuse(d);
    }
  }
  d->depth--;
}

/* ---- names, packed values, records ---------------------------------------------------------------------------- */

/* Pushes the metatable that is registered under the name on the top of the stack. One with __gc is refused, because it
 * is for userdata. */
static void push_class(lua_State *L) {
  const char *name = lua_tostring(L, -1);
  bool known = lregistry_know(L, name) && luaL_getmetatable(L, name) == LUA_TTABLE;
  if (!known || luaL_getmetafield(L, -1, "__gc") != LUA_TNIL)
    lerror_raise(L, "not_sendable", "the class %s is not registered in this state: load its module first", name);
}

/* Reads a name and pushes the value that has it. */
static void get_named(struct decoder *d, enum wire_tag tag) {
  lua_State *L = d->L;
  size_t size;
  need(d, 1);
  if ((*d->at & ~WIRE_KEPT) != WIRE_STRING && *d->at != WIRE_BACK) refuse(d);
  get_value(d);
  if (lua_type(L, -1) != LUA_TSTRING) refuse(d);
  const char *name = lua_tolstring(L, -1, &size);
  if (tag == WIRE_NAME)
    lname_push(L, name, size);
  else
    push_class(L);
  lua_remove(L, -2);
}

static void get_record(struct decoder *d) {
  lua_State *L = d->L;
  int type = get_kept(d), depth = d->depth;
  enum wire_tag tag = get_byte(d);
  d->depth = 0;
  if (tag == WIRE_FUNCTION && type == LUA_TFUNCTION && !lua_iscfunction(L, -1))
    get_upvalues(d);
  else if (tag >= WIRE_RECORD && tag <= WIRE_ARRAY_META && type == LUA_TTABLE)
    get_table(d, tag, NULL, false);
  else
    refuse(d);
  d->depth = depth;
  lua_pop(L, 1);
}

static void get_records(struct decoder *d, const uint8_t *end) {
  while (d->at != end && *d->at == WIRE_FILL) {
    d->at++;
    get_record(d);
  }
}

static void get_packed(struct decoder *d) {
  lua_State *L = d->L;
  int count = get_count(d);
  if (count == 0 || (size_t)count > left(d) || ++d->packed > WIRE_MOST_PACKED) refuse(d);
  if (!lua_checkstack(L, count + 10)) lerror_memory(L);
  for (int i = 0; i < count; i++) get_value(d);
  get_records(d, d->end);
  if (get_byte(d) != WIRE_END) refuse(d);
  if (!lua_isfunction(L, -count)) refuse(d);
  lua_call(L, count - 1, 1);
  d->packed--;
}

/* ---- values --------------------------------------------------------------------------------------------------- */

static void get_other(struct decoder *d, enum wire_tag tag, const uint8_t *keep_at) {
  lua_State *L = d->L;
  switch (tag) {
    case WIRE_NULL: lua_pushlightuserdata(L, NULL); return;
    case WIRE_CODE: lcode_push(L, get_code(d)); return;
    case WIRE_GLOBALS: lua_pushglobaltable(L); return;
    case WIRE_OBJECT: lobject_push(L, get_object(d, false)); return;
    case WIRE_FUNCTION:
      lcode_load(L, get_code(d));
      if (keep_at) keep(d, keep_at);
      get_upvalues(d);
      return;
    case WIRE_LATER_FUNCTION: lcode_load(L, get_code(d)); break;
    case WIRE_LATER_TABLE: lua_newtable(L); break;
    case WIRE_NAME:
    case WIRE_CLASS: get_named(d, tag); break;
    case WIRE_PACKED: get_packed(d); break;
    default: refuse(d);
  }
  if (keep_at) keep(d, keep_at);
}

/* Reads a value and pushes it. */
static void get_value(struct decoder *d) {
  lua_State *L = d->L;
  const uint8_t *place = d->at;
  uint8_t tag = get_byte(d);
  if (tag >= WIRE_SMALL) {
    lua_pushinteger(L, tag & ~WIRE_SMALL);
    return;
  }
  const uint8_t *keep_at = tag & WIRE_KEPT ? place : NULL;
  switch (tag & ~WIRE_KEPT) {
    case WIRE_NIL: lua_pushnil(L); break;
    case WIRE_FALSE: lua_pushboolean(L, 0); break;
    case WIRE_TRUE: lua_pushboolean(L, 1); break;
    case WIRE_INT16: get_int16(d); break;
    case WIRE_INT32: get_int32(d); break;
    case WIRE_INT64: get_int64(d); break;
    case WIRE_FLOAT: get_float(d); break;
    case WIRE_BACK: get_kept(d); break;
    case WIRE_STRING:
      get_string(d);
      if (keep_at) keep(d, keep_at);
      break;
    case WIRE_RECORD:
    case WIRE_RECORD_META:
    case WIRE_ARRAY:
    case WIRE_ARRAY_META: get_table(d, tag & ~WIRE_KEPT, keep_at, true); break;
    default: get_other(d, tag & ~WIRE_KEPT, keep_at);
  }
}

int lcodec_decode(lua_State *L, const struct braid_message *message) {
  const uint8_t *start = (const uint8_t *)message->bytes;
  struct decoder d = {.L = L, .message = message, .start = start, .at = start, .end = start + message->size};
  luaL_checkstack(L, 20, NULL);
  lua_pushnil(L);
  d.kept = lua_gettop(L);
  int count = get_count(&d);
  if ((size_t)count > left(&d)) refuse(&d);
  luaL_checkstack(L, count + 20, "too many values");
  for (int i = 0; i < count; i++) get_value(&d);
  get_records(&d, d.end);
  if (d.at != d.end) refuse(&d);
  lua_remove(L, d.kept);
  return count;
}

/* ---- which function is called --------------------------------------------------------------------------------- */

/* Reads a name and pushes it with dots: "string.format". */
static void push_dotted(struct decoder *d) {
  luaL_Buffer buffer;
  if ((get_byte(d) & ~WIRE_KEPT) != WIRE_STRING) refuse(d);
  size_t size = get_size(d);
  need(d, size);
  luaL_buffinit(d->L, &buffer);
  for (size_t i = 0; i < size; i++) luaL_addchar(&buffer, d->at[i] ? (char)d->at[i] : '.');
  luaL_pushresult(&buffer);
  d->at += size;
}

/* If the next value is a function, pushes a text that says which one. */
static bool push_function(struct decoder *d) {
  lua_Debug ar;
  switch (get_byte(d) & ~WIRE_KEPT) {
    case WIRE_CODE:
    case WIRE_FUNCTION:
    case WIRE_LATER_FUNCTION:
      lcode_load(d->L, get_code(d));
      lua_getinfo(d->L, ">S", &ar);
      lua_pushfstring(d->L, "%s:%d", ar.short_src, ar.linedefined);
      return true;
    case WIRE_NAME: push_dotted(d); return true;
    case WIRE_PACKED: /* the function that opens it, then the function: see lcarry.h */
      get_size(d);
      if (!push_function(d)) return false;
      lua_pop(d->L, 1);
      return push_function(d);
    default: return false;
  }
}

void lcodec_push_callee(lua_State *L, const struct braid_message *message) {
  const uint8_t *start = (const uint8_t *)message->bytes;
  struct decoder d = {.L = L, .message = message, .start = start, .at = start, .end = start + message->size};
  luaL_checkstack(L, 20, NULL);
  int count = get_count(&d);
  if (count == 0 || !push_function(&d)) lua_pushliteral(L, "?");
  bool ours = strncmp(lua_tostring(L, -1), "braid.", 6) == 0;
  if (ours && count > 1 && push_function(&d)) lua_remove(L, -2);
}

static int decode(lua_State *L) {
  const struct braid_message *message = lua_touserdata(L, 1);
  lua_settop(L, 0);
  return lcodec_decode(L, message);
}

int lcodec_take(lua_State *L, struct braid_message *message) {
  int top = lua_gettop(L);
  if (!lua_checkstack(L, 4)) {
    braid_message_unref(message);
    lerror_memory(L);
  }
  lua_pushcfunction(L, decode);
  lua_pushlightuserdata(L, message);
  int status = lua_pcall(L, 1, LUA_MULTRET, 0);
  braid_message_unref(message);
  if (status != LUA_OK) lua_error(L);
  return lua_gettop(L) - top;
}
