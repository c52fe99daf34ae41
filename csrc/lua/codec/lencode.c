/* SPDX-License-Identifier: MIT
 * Encodes values. Tables are walked depth first by recursion, but only WIRE_MOST_DEPTH deep. Deeper tables get a
 * placeholder and are written later, so only memory limits the depth of values. If the table of names turns out to be
 * out of date (`stale`), all functions return at once, and the caller encodes again. */
#include <lauxlib.h>

#include "lua/codec/lcode.h"
#include "lua/codec/lcodec.h"
#include "lua/base/lerror.h"
#include "lua/sched/lobject.h"
#include "lua/base/lposition.h"
#include "lua/codec/lname.h"
#include "lua/codec/lslice.h"
#include "lua/codec/lwriter.h"

static void put_value(struct writer *w);
static void put_records(struct writer *w);
static void put_metatable(struct writer *w);

static void check_stack(struct writer *w) {
  if (!lua_checkstack(w->L, 12)) writer_raise_memory(w);
}

static inline void count_value(struct writer *w) {
  if (w->values_left-- == 0) writer_refuse(w, "the message would have more values than the limit allows");
}

/* ---- tables: content ------------------------------------------------------------------------------------------ */

/* Whether element `key` continues the sequence of `count` elements, `holes` of which are nil. It must not be beyond the
 * table's border, and there must not be too many holes. */
static bool goes_on(lua_Integer key, lua_Integer count, lua_Integer holes, lua_Integer length) {
  lua_Integer gap = key - count - 1;
  return gap >= 0 && key <= length && key < INT32_MAX && holes + gap <= count - holes + 8;
}

/* Writes the elements from 1 on as an array, so that the receiver's table gets the same array part. Key and value of
 * the first element are on the stack. Returns true if other pairs are left; then the next key and value are on the
 * stack. */
static bool put_sequence(struct writer *w, int table, lua_Integer length, struct path_frame *frame) {
  lua_State *L = w->L;
  lua_Integer count = 0, holes = 0;
  size_t place = writer_place(w);
  uint32_t written;
  bool more = true;
  writer_need(w, sizeof written);
  w->at += sizeof written;
  for (; more && !w->stale && lua_isinteger(L, -2); more = lua_next(L, table)) {
    lua_Integer key = lua_tointeger(L, -2);
    if (!goes_on(key, count, holes, length)) break;
    for (; count + 1 < key; count++, holes++) writer_byte(w, WIRE_NIL);
    if (lua_type(L, -1) == LUA_TNUMBER) {
      count_value(w);
      writer_number(w, -1);
    } else {
      put_value(w);
      frame->node = 0;
    }
    count++;
    lua_pop(L, 1);
  }
  written = (uint32_t)count;
  memcpy(writer_start(w) + place, &written, sizeof written);
  return more;
}

/* Writes the remaining pairs. Key and value of the first are on the stack. Returns their number. */
static size_t put_pairs(struct writer *w, int table, struct path_frame *frame) {
  lua_State *L = w->L;
  size_t count = 0;
  do {
    if (lua_type(L, -2) == LUA_TSTRING) {
      count_value(w);
      writer_string(w, -2);
    } else {
      frame->step.kind = PATH_KEY;
      lua_pushvalue(L, -2);
      put_value(w);
      lua_pop(L, 1);
      frame->step.kind = PATH_FIELD;
      frame->node = 0;
    }
    put_value(w);
    lua_pop(L, 1);
    frame->node = 0;
    count++;
  } while (!w->stale && lua_next(L, table));
  return count;
}

static int hint_of(size_t count) {
  int hint = 0;
  for (size_t room = count; room > 0; room >>= 1) hint++;
  return hint + (count > 0 && (count & (count - 1)) != 0);
}

/* Writes the content of the table on the top of the stack. If it has a metatable, that is above it, and is popped. */
static void put_content(struct writer *w, int has_metatable) {
  lua_State *L = w->L;
  int key = lua_gettop(L) + 1, table = key - 1 - has_metatable;
  struct path_frame frame = {.outer = w->frame, .step = {PATH_FIELD, key, 0}};
  lua_Integer length = (lua_Integer)lua_rawlen(L, table);
  check_stack(w);
  w->frame = &frame;
  w->depth++;
  writer_byte(w, (length > 0 ? WIRE_ARRAY : WIRE_RECORD) + has_metatable);
  size_t hint = writer_place(w), count = 0;
  writer_byte(w, 0);
  lua_pushnil(L);
  bool more = lua_next(L, table);
  if (length > 0) more = put_sequence(w, table, length, &frame);
  if (more) count = put_pairs(w, table, &frame);
  writer_start(w)[hint] = (uint8_t)hint_of(count);
  writer_byte(w, WIRE_END);
  lua_settop(L, key - 1);
  if (has_metatable) {
    frame = (struct path_frame){.outer = frame.outer, .step = {PATH_METATABLE, 0, 0}};
    put_metatable(w);
    lua_pop(L, 1);
  }
  w->depth--;
  w->frame = frame.outer;
}

/* Writes the slice on the top of the stack as a table. */
static void put_slice(struct writer *w, const struct slice *slice) {
  lua_State *L = w->L;
  int list = lua_gettop(L) + 1;
  struct path_frame frame = {.outer = w->frame, .step = {PATH_FIELD, list + 1, 0}};
  uint32_t count = (uint32_t)slice->count;
  check_stack(w);
  lua_getiuservalue(L, -1, 1);
  w->frame = &frame;
  w->depth++;
  writer_need(w, WRITER_MARGIN);
  writer_byte(w, WIRE_ARRAY);
  writer_byte(w, hint_of(1));
  writer_raw(w, &count, sizeof count);
  for (lua_Integer i = 0; i < slice->count && !w->stale; i++) {
    if (lslice_element(L, list, slice->first + i) == LUA_TNUMBER) {
      count_value(w);
      writer_number(w, -1);
      lua_pop(L, 1);
      continue;
    }
    lua_pushinteger(L, i + 1);
    lua_insert(L, -2);
    put_value(w);
    frame.node = 0;
    lua_pop(L, 2);
  }
  lua_pushliteral(L, "n");
  writer_string(w, -1);
  lua_pushinteger(L, slice->count);
  writer_number(w, -1);
  writer_byte(w, WIRE_END);
  lua_settop(L, list - 1);
  w->depth--;
  w->frame = frame.outer;
}

/* ---- __braid_pack ---------------------------------------------------------------------------------------------- */

/* If the value on the top of the stack has a __braid_pack, pushes the metatable and __braid_pack, and returns true.
 * Else pushes only the metatable, if there is one. */
static bool push_packer(lua_State *L, int *has_metatable) {
  *has_metatable = lua_getmetatable(L, -1);
  if (!*has_metatable) return false;
  lua_pushliteral(L, "__braid_pack");
  if (lua_rawget(L, -2) != LUA_TNIL) return true;
  lua_pop(L, 1);
  return false;
}

/* Writes a packed value. On the stack: the value, its metatable and its __braid_pack; pops the last two. __braid_pack
 * returns a function and its arguments; the receiver calls the function to make the value. These are written
 * completely, nothing later, because the receiver calls the function as soon as it has read them. */
static void put_packed(struct writer *w, const void *identity) {
  lua_State *L = w->L;
  int value = lua_gettop(L) - 2;
  size_t place = writer_place(w);
  struct path_frame frame = {.outer = w->frame, .step = {PATH_PACKED, 0, 0}};
  if (w->packed == WIRE_MOST_PACKED) writer_refuse(w, "too many packed values inside each other");
  lua_pushvalue(L, value);
  lua_call(L, 1, LUA_MULTRET);
  int count = lua_gettop(L) - value - 1;
  check_stack(w);
  if (count == 0 || !lua_isfunction(L, value + 2)) writer_refuse(w, "its __braid_pack did not return a function");
  writer_find(w, identity)->place = place | WRITER_UNFINISHED;
  w->packed++;
  w->frame = &frame;
  writer_tag(w, WIRE_PACKED, (size_t)count);
  for (int i = 1; i <= count && !w->stale; i++) {
    frame.step.number = i;
    frame.node = 0;
    lua_pushvalue(L, value + 1 + i);
    lua_pushvalue(L, -1);
    writer_keep(w);
    put_value(w);
    lua_pop(L, 1);
  }
  put_records(w);
  writer_byte(w, WIRE_END);
  w->packed--;
  w->frame = frame.outer;
  writer_find(w, identity)->place = place;
  lua_settop(L, value);
}

/* ---- tables --------------------------------------------------------------------------------------------------- */

/* Writes a table that is not written yet and has no name. */
static void put_new_table(struct writer *w, const void *identity) {
  int has_metatable;
  if (push_packer(w->L, &has_metatable)) {
    put_packed(w, identity);
  } else if (w->depth < WIRE_MOST_DEPTH) {
    put_content(w, has_metatable);
  } else {
    lua_pop(w->L, has_metatable);
    size_t place = writer_place(w);
    writer_byte(w, WIRE_LATER_TABLE);
    writer_put_off(w, place);
  }
}

static void put_table(struct writer *w) {
  const void *identity = lua_topointer(w->L, -1);
  if (identity == w->globals)
    writer_byte(w, WIRE_GLOBALS);
  else if (!writer_repeat(w, identity) && !writer_name(w, false))
    put_new_table(w, identity);
}

static void put_metatable(struct writer *w) {
  const void *identity = lua_topointer(w->L, -1);
  if (identity == w->globals)
    writer_byte(w, WIRE_GLOBALS);
  else if (!writer_repeat(w, identity) && !writer_name(w, true) && !writer_class(w))
    put_new_table(w, identity);
}

/* ---- functions ------------------------------------------------------------------------------------------------ */

/* Whether the value on the top of the stack, an upvalue with this name, means the globals: it is their table, or an
 * _ENV that has nothing of its own and asks a function for everything. busted runs specs with such an _ENV. */
static bool is_globals(const struct writer *w, const char *name) {
  lua_State *L = w->L;
  if (!lua_istable(L, -1) || strcmp(name, "_ENV") != 0) return false;
  if (lua_topointer(L, -1) == w->globals) return true;
  int top = lua_gettop(L);
  bool asks = luaL_getmetafield(L, -1, "__index") == LUA_TFUNCTION;
  lua_settop(L, top);
  lua_pushnil(L);
  bool empty = asks && !lua_next(L, top);
  lua_settop(L, top);
  return empty;
}

/* Writes an upvalue of the function on the top of the stack, which is at `place`. An upvalue that several functions
 * share is identified by the place of the first function that has it, and its number there. */
static void put_upvalue(struct writer *w, int number, size_t place) {
  const void *identity = lua_upvalueid(w->L, -1, number);
  struct encbuf_place *found = writer_find(w, identity);
  if (found->identity) {
    size_t owner = found->place >> 8;
    writer_start(w)[owner] |= WIRE_KEPT;
    writer_tag(w, WIRE_JOIN, owner);
    writer_size(w, found->place & 0xFF);
    return;
  }
  encbuf_put(w->buffer, found, identity, place << 8 | (size_t)number);
  if (is_globals(w, lua_getupvalue(w->L, -1, number)))
    writer_byte(w, WIRE_GLOBALS);
  else
    put_value(w);
  lua_pop(w->L, 1);
}

static void put_upvalues(struct writer *w, size_t place) {
  lua_State *L = w->L;
  int count = 0;
  struct path_frame frame = {.outer = w->frame, .step = {PATH_UPVALUE, lua_gettop(L), 0}};
  check_stack(w);
  while (lua_upvalueid(L, -1, count + 1)) count++;
  writer_need(w, WRITER_MARGIN);
  writer_size(w, (size_t)count);
  w->frame = &frame;
  w->depth++;
  for (int i = 1; i <= count && !w->stale; i++) {
    frame.step.number = i;
    frame.node = 0;
    put_upvalue(w, i, place);
  }
  w->depth--;
  w->frame = frame.outer;
}

/* Whether the function has no upvalues, or only _ENV, which is the table of globals. Any other upvalue with that value
 * may be shared with other functions. */
static bool is_stateless(struct writer *w, const struct braid_bytecode *code) {
  if (code->upvalues != 1) return code->upvalues == 0;
  bool env = is_globals(w, lua_getupvalue(w->L, -1, 1));
  lua_pop(w->L, 1);
  return env;
}

static void put_lua_function(struct writer *w) {
  struct braid_bytecode *code = lcode_known(w->L, -1);
  if (!code) {
    if (writer_name(w, true)) return;
    code = lcode_of(w->L, -1);
  }
  size_t number = writer_object(w, &code->object);
  if (is_stateless(w, code)) {
    writer_tag(w, WIRE_CODE, number);
    return;
  }
  if (writer_repeat(w, lua_topointer(w->L, -1))) return;
  size_t place = writer_place(w);
  if (w->depth < WIRE_MOST_DEPTH) {
    writer_tag(w, WIRE_FUNCTION, number);
    put_upvalues(w, place);
  } else {
    writer_tag(w, WIRE_LATER_FUNCTION, number);
    writer_put_off(w, place);
  }
}

static void put_c_function(struct writer *w) {
  if (writer_repeat(w, lua_topointer(w->L, -1)) || writer_name(w, true)) return;
  if (lname_push_address(w->L, -1)) {
    bool named = writer_name(w, false);
    lua_pop(w->L, 1);
    if (named) return;
  }
  writer_give_up(w, "C function", ": it is not a field of a loaded module");
}

/* ---- what is written later ------------------------------------------------------------------------------------- */

/* Writes the content of all placeholders, until none is left. */
static void put_records(struct writer *w) {
  lua_State *L = w->L;
  struct path_frame *outer = w->frame;
  struct later later;
  int depth = w->depth;
  while (writer_next_later(w, &later)) {
    struct path_frame frame = {.step = {PATH_LATER, 0, later.node}};
    w->frame = &frame;
    w->depth = 0;
    writer_tag(w, WIRE_FILL, later.place);
    if (lua_isfunction(L, -1)) {
      writer_byte(w, WIRE_FUNCTION);
      put_upvalues(w, later.place);
    } else {
      put_content(w, lua_getmetatable(L, -1));
    }
    lua_pop(L, 1);
  }
  w->depth = depth;
  w->frame = outer;
}

/* ---- values --------------------------------------------------------------------------------------------------- */

static void refuse_userdata(struct writer *w) {
  lua_State *L = w->L;
  int top = lua_gettop(L);
  if (luaL_getmetafield(L, -1, "__name") == LUA_TSTRING)
    lua_pushfstring(L, "userdata (%s)", lua_tostring(L, -1));
  else
    lua_pushliteral(L, "userdata");
  writer_give_up(w, lua_tostring(L, -1), "");
  lua_settop(L, top);
}

/* The object's content cannot be sent: the error on the top of the stack says so. Raises it with the path, without its
 * position. */
static void refuse_content(struct writer *w) {
  lua_State *L = w->L;
  if (!lerror_is(L, -1, "not_sendable")) lua_error(L);
  lua_getfield(L, -1, "message");
  position_where(L, 1);
  const char *message = lerror_text(L, -2), *where = lua_tostring(L, -2);
  size_t size = strlen(where);
  writer_refuse(w, "%s", strncmp(message, where, size) == 0 ? message + size : message);
}

static void put_object(struct writer *w, struct braid_object *object) {
  lua_State *L = w->L;
  const char *why = w->border ? w->border(object) : NULL;
  if (why) writer_refuse(w, "a %s cannot be sent to another process: %s", object->class->name, why);
  if (!lobject_share(L, -1)) refuse_content(w);
  writer_tag(w, WIRE_OBJECT, writer_object(w, object));
}

static void put_userdata(struct writer *w) {
  lua_State *L = w->L;
  struct braid_object *object;
  const void *identity = lua_topointer(L, -1);
  int has_metatable;
  if (lobject_is_box(L, -1, &object) && object) {
    put_object(w, object);
    return;
  }
  const struct slice *slice = lslice_test(L, -1);
  if (slice) {
    put_slice(w, slice);
    return;
  }
  if (writer_repeat(w, identity) || writer_name(w, false)) return;
  if (push_packer(L, &has_metatable)) {
    put_packed(w, identity);
    return;
  }
  lua_pop(L, has_metatable);
  refuse_userdata(w);
}

/* Writes the value on the top of the stack. */
static void put_value(struct writer *w) {
  lua_State *L = w->L;
  count_value(w);
  switch (lua_type(L, -1)) {
    case LUA_TNIL: writer_byte(w, WIRE_NIL); break;
    case LUA_TBOOLEAN: writer_byte(w, lua_toboolean(L, -1) ? WIRE_TRUE : WIRE_FALSE); break;
    case LUA_TNUMBER: writer_number(w, -1); break;
    case LUA_TSTRING: writer_string(w, -1); break;
    case LUA_TTABLE: put_table(w); break;
    case LUA_TUSERDATA: put_userdata(w); break;
    case LUA_TFUNCTION:
      if (lua_iscfunction(L, -1))
        put_c_function(w);
      else
        put_lua_function(w);
      break;
    case LUA_TLIGHTUSERDATA:
      if (lua_touserdata(L, -1))
        writer_give_up(w, "light userdata", "");
      else
        writer_byte(w, WIRE_NULL);
      break;
    default: writer_give_up(w, "coroutine", "");
  }
}

/* ---- the message ---------------------------------------------------------------------------------------------- */

static void put_all(struct writer *w, int index, int count) {
  struct path_frame frame = {.step = {PATH_ROOT, 0, 0}};
  w->frame = &frame;
  writer_need(w, WRITER_MARGIN);
  writer_size(w, (size_t)count);
  for (int i = 0; i < count && !w->stale; i++) {
    frame.step.number = i + 1;
    frame.node = 0;
    lua_pushvalue(w->L, index + i);
    put_value(w);
    lua_pop(w->L, 1);
  }
  put_records(w);
}

struct braid_message *lcodec_encode(lua_State *L, int index, int count, const char *what) {
  return lcodec_encode_across(L, index, count, what, NULL);
}

struct braid_message *lcodec_encode_across(lua_State *L, int index, int count, const char *what,
                                           lcodec_border *border) {
  struct writer w;
  index = lua_absindex(L, index);
  writer_open(&w, L, what);
  w.border = border;
  put_all(&w, index, count);
  if (w.stale) {
    writer_discard(&w);
    writer_open(&w, L, what);
    w.border = border;
    w.updated = true;
    put_all(&w, index, count);
  }
  struct braid_message *message = writer_close(&w);
  if (!message) lerror_memory(L);
  return message;
}
