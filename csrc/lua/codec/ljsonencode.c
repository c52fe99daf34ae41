/* SPDX-License-Identifier: MIT
 * Encodes JSON. Each open table has two slots of the Lua stack: the table, and its position, which is the last key that
 * lua_next returned, or the list of its sorted keys. The value to encode is above them.
 *
 * A table is walked once, in the order of lua_next. It is a list while its keys come as 1, 2, 3. When they do not, the
 * encoder looks at the whole table. */
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>

#include "core/base/decimal.h"
#include "core/base/utf8.h"
#include "lua/base/lerror.h"
#include "lua/codec/ljson.h"
#include "lua/codec/ljsontext.h"
#include "lua/codec/llist.h"

enum walk {
  LIST,    /* by lua_next */
  INDEXED, /* a list, by index: its elements come in another order, or some are nil */
  OBJECT,
  SORTED /* an object, by the list of its sorted keys */
};

struct open_table {
  enum walk walk;
  bool marked;       /* it is marked as a list */
  lua_Integer count; /* elements that are written */
  lua_Integer most;  /* elements of the list; 0 while an unmarked list is walked by lua_next */
};

enum { FEW = 16 }; /* nested tables that fit into an array on the C stack */

struct encoder {
  lua_State *L;
  struct jsontext text;
  int frames, base; /* stack indices; frames: the memory of `open`, base: the first open table */
  struct open_table *open;
  int depth, room, most_depth;
  bool pretty, sort, replace;
};

static void put_string(struct encoder *e, int index);

/* ---- refusal -------------------------------------------------------------------------------------------------- */

enum { SHOWN = 10 }; /* steps of a path that are shown at each of its ends */

static int table_at(const struct encoder *e, int level) { return e->base + 2 * level; }

/* Pushes the key of this level's table that is being encoded. */
static void push_key(struct encoder *e, int level) {
  const struct open_table *o = &e->open[level];
  if (o->walk == SORTED)
    lua_rawgeti(e->L, table_at(e, level) + 1, o->count);
  else if (o->walk == INDEXED)
    lua_pushinteger(e->L, o->count);
  else
    lua_pushvalue(e->L, table_at(e, level) + 1);
}

static bool is_name(lua_State *L, int index) {
  size_t size;
  const char *text = lua_tolstring(L, index, &size);
  size_t letters = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
  return letters > 0 && letters == size && (*text < '0' || *text > '9');
}

/* Pushes ".name", "[7]" or "[\"a name\"]". Overwrites the text, which is not needed any more. */
static void push_step(struct encoder *e, int level) {
  lua_State *L = e->L;
  push_key(e, level);
  if (lua_isinteger(L, -1)) {
    lua_pushfstring(L, "[%I]", (LUAI_UACINT)lua_tointeger(L, -1));
  } else if (is_name(L, -1)) {
    lua_pushfstring(L, ".%s", lua_tostring(L, -1));
  } else {
    e->text.at = e->text.start;
    jsontext_byte(&e->text, '[');
    put_string(e, -1);
    jsontext_byte(&e->text, ']');
    jsontext_push(&e->text);
  }
  lua_remove(L, -2);
}

/* Pushes the path to the value that is being encoded: "value.items[3]". */
static void push_path(struct encoder *e, int levels) {
  lua_State *L = e->L;
  lua_pushliteral(L, "value");
  for (int i = 0; i < levels; i++) {
    if (i < SHOWN || i >= levels - SHOWN)
      push_step(e, i);
    else if (i == SHOWN)
      lua_pushfstring(L, " ... %d more ... ", levels - 2 * SHOWN);
    else
      continue;
    lua_concat(L, 2);
  }
}

/* Raises: the value at the end of `levels` steps cannot be encoded. The reason is on the top of the stack. */
static int refuse_at(struct encoder *e, int levels) {
  lua_State *L = e->L;
  int reason = lua_gettop(L);
  luaL_checkstack(L, 10, NULL);
  e->replace = true;
  push_path(e, levels);
  lerror_push(L, "json", "no JSON for %s: %s", lua_tostring(L, -1), lua_tostring(L, reason));
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, "path");
  return lua_error(L);
}

static int refuse(struct encoder *e, const char *reason) {
  lua_pushstring(e->L, reason);
  return refuse_at(e, e->depth);
}

/* Raises: a table is nested too deeply. Names the cause if that is a cycle. */
static void refuse_depth(struct encoder *e) {
  lua_State *L = e->L;
  for (int inner = 1; inner <= e->depth; inner++)
    for (int outer = 0; outer < inner; outer++)
      if (lua_rawequal(L, table_at(e, outer), table_at(e, inner))) {
        lua_pushliteral(L, "a cycle: this table contains itself");
        refuse_at(e, inner);
      }
  lua_pushfstring(L, "it is deeper than %d tables in each other", e->most_depth);
  refuse_at(e, e->depth);
}

/* Raises: the keys of the innermost table are neither those of a list nor those of an object. */
static void refuse_keys(struct encoder *e) {
  lua_State *L = e->L;
  int table = table_at(e, e->depth - 1);
  lua_Integer count = 0, largest = 0;
  bool names = false, numbers = false;
  lua_settop(L, table);
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    names = names || lua_type(L, -2) == LUA_TSTRING;
    if (lua_isinteger(L, -2)) {
      numbers = true;
      count++;
      if (lua_tointeger(L, -2) < 1) largest = LUA_MAXINTEGER;
      if (lua_tointeger(L, -2) > largest) largest = lua_tointeger(L, -2);
    } else if (lua_type(L, -2) != LUA_TSTRING) {
      lua_pushfstring(L, "a key is a %s: the keys of a list are the integers from 1, those of an object strings",
                      lua_type(L, -2) == LUA_TNUMBER ? "float" : luaL_typename(L, -2));
      refuse_at(e, e->depth - 1);
    }
  }
  if (e->open[e->depth - 1].marked)
    lua_pushliteral(L, "it is marked as a list, and has other keys than those of its elements");
  else if (names && numbers)
    lua_pushliteral(L, "its keys are integers and strings: it is neither a list nor an object");
  else if (largest == LUA_MAXINTEGER)
    lua_pushliteral(L, "an integer key is less than 1 or too large: the keys of a list are the integers from 1");
  else
    lua_pushfstring(L, "a list with holes (elements: %I, the last at %I); json.array marks a list that has them",
                    (LUAI_UACINT)count, (LUAI_UACINT)largest);
  refuse_at(e, e->depth - 1);
}

/* ---- strings and numbers -------------------------------------------------------------------------------------- */

static void put_escape(struct jsontext *t, char byte) {
  static const char hex[] = "0123456789abcdef", short_ones[] = "\"\"\\\\\bb\ff\nn\rr\tt";
  for (const char *pair = short_ones; *pair; pair += 2)
    if (*pair == byte) {
      jsontext_byte(t, '\\');
      jsontext_byte(t, pair[1]);
      return;
    }
  jsontext_literal(t, "\\u00");
  jsontext_byte(t, hex[(unsigned char)byte >> 4]);
  jsontext_byte(t, hex[byte & 15]);
}

/* Writes the string at `index`. Valid parts are copied as a whole. */
static void put_string(struct encoder *e, int index) {
  struct jsontext *t = &e->text;
  size_t size;
  const char *at = lua_tolstring(e->L, index, &size), *end = at + size, *piece = at;
  jsontext_byte(t, '"');
  while ((at = braid_utf8_skip_plain(at, end)) < end) {
    int length = (unsigned char)*at < 0x80 ? 0 : braid_utf8_character(at, end);
    if (length > 0) {
      at += length;
      continue;
    }
    if (length < 0 && !e->replace) {
      lua_pushfstring(e->L, "the string is not UTF-8 (byte %d is 0x%c%c)", (int)(at - (end - size)) + 1,
                      "0123456789ABCDEF"[(unsigned char)*at >> 4], "0123456789ABCDEF"[*at & 15]);
      refuse_at(e, e->depth);
    }
    jsontext_add(t, piece, (size_t)(at - piece));
    if (length == 0)
      put_escape(t, *at);
    else
      jsontext_literal(t, BRAID_UTF8_REPLACEMENT);
    at += length < 0 ? -length : 1;
    piece = at;
  }
  jsontext_add(t, piece, (size_t)(end - piece));
  jsontext_byte(t, '"');
}

static void put_number(struct encoder *e) {
  struct jsontext *t = &e->text;
  jsontext_need(t, BRAID_DECIMAL_SIZE);
  if (lua_isinteger(e->L, -1)) {
    t->at += braid_decimal_write_integer(t->at, lua_tointeger(e->L, -1));
    return;
  }
  double number = lua_tonumber(e->L, -1);
  if (isnan(number)) refuse(e, "NaN is not in JSON");
  if (isinf(number)) refuse(e, number > 0 ? "infinity is not in JSON" : "-infinity is not in JSON");
  t->at += braid_decimal_write(t->at, number);
}

/* ---- tables --------------------------------------------------------------------------------------------------- */

static void put_line(struct encoder *e, int depth) {
  if (!e->pretty) return;
  jsontext_need(&e->text, (size_t)depth * 2 + 1);
  *e->text.at++ = '\n';
  memset(e->text.at, ' ', (size_t)depth * 2);
  e->text.at += depth * 2;
}

/* Written before each element and each name. */
static inline void put_comma(struct encoder *e, struct open_table *o) {
  if (o->count++ > 0) jsontext_byte(&e->text, ',');
  if (e->pretty) put_line(e, e->depth);
}

static void grow_frames(struct encoder *e) {
  lua_State *L = e->L;
  int room = e->room * 2;
  struct open_table *open = lua_newuserdatauv(L, (size_t)room * sizeof *open, 0);
  memcpy(open, e->open, (size_t)e->depth * sizeof *open);
  lua_replace(L, e->frames);
  e->open = open;
  e->room = room;
}

struct key {
  const char *text;
  size_t size;
  lua_Integer number;
};

static int compare_keys(const void *a, const void *b) {
  const struct key *x = a, *y = b;
  int order = memcmp(x->text, y->text, x->size < y->size ? x->size : y->size);
  return order ? order : (x->size > y->size) - (x->size < y->size);
}

/* Pushes the sorted list of the keys of the table on the top of the stack, which is an object. */
static void push_sorted_keys(struct encoder *e, struct open_table *o) {
  lua_State *L = e->L;
  int table = lua_gettop(L), list = table + 1;
  lua_Integer count = 0;
  lua_newtable(L);
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING) refuse_keys(e);
    lua_pushvalue(L, -2);
    lua_rawseti(L, list, ++count);
  }
  struct key *keys = lua_newuserdatauv(L, (size_t)(count + 1) * sizeof *keys, 0);
  for (lua_Integer i = 0; i < count; i++) {
    lua_rawgeti(L, list, i + 1);
    keys[i].text = lua_tolstring(L, -1, &keys[i].size);
    keys[i].number = i + 1;
    lua_pop(L, 1);
  }
  qsort(keys, (size_t)count, sizeof *keys, compare_keys);
  lua_createtable(L, (int)count, 0);
  for (lua_Integer i = 0; i < count; i++) {
    lua_rawgeti(L, list, keys[i].number);
    lua_rawseti(L, -2, i + 1);
  }
  lua_replace(L, list);
  lua_settop(L, list);
  o->walk = SORTED;
  o->most = count;
}

/* Begins the table on the top of the stack. Its first key decides whether it is a list or an object. */
static void open_table(struct encoder *e) {
  lua_State *L = e->L;
  struct open_table o = {.walk = OBJECT};
  if (e->depth == e->most_depth) refuse_depth(e);
  if (!lua_checkstack(L, 12)) lerror_memory(L);
  o.marked = llist_is(L, -1);
  if (o.marked) o.most = llist_count(L, -1);
  lua_pushnil(L);
  bool any = lua_next(L, -2);
  if (o.marked || (any && lua_isinteger(L, -2))) o.walk = LIST;
  if (any) lua_pop(L, 2);
  if (!any && o.most == 0) {
    jsontext_add(&e->text, o.marked ? "[]" : "{}", 2);
    lua_pop(L, 1);
    return;
  }
  if (e->depth == e->room) grow_frames(e);
  e->open[e->depth++] = o;
  jsontext_byte(&e->text, o.walk == OBJECT ? '{' : '[');
  if (o.walk == OBJECT && e->sort)
    push_sorted_keys(e, &e->open[e->depth - 1]);
  else
    lua_pushnil(L);
}

static void close_table(struct encoder *e) {
  char bracket = e->open[e->depth - 1].walk <= INDEXED ? ']' : '}';
  lua_settop(e->L, table_at(e, --e->depth) - 1);
  put_line(e, e->depth);
  jsontext_byte(&e->text, bracket);
}

static void refuse_type(struct encoder *e) {
  lua_State *L = e->L;
  const char *name = lua_isthread(L, -1) ? "coroutine" : luaL_typename(L, -1);
  if (luaL_getmetafield(L, -1, "__name") == LUA_TSTRING) name = lua_tostring(L, -1);
  lua_pushfstring(L, "a %s is not in JSON", name);
  refuse_at(e, e->depth);
}

/* Writes the value on the top of the stack and pops it. If it is a table that is not empty, opens it instead. */
static void put_value(struct encoder *e) {
  lua_State *L = e->L;
  switch (lua_type(L, -1)) {
    case LUA_TSTRING: put_string(e, -1); break;
    case LUA_TNUMBER: put_number(e); break;
    case LUA_TTABLE: open_table(e); return;
    case LUA_TBOOLEAN:
      if (lua_toboolean(L, -1))
        jsontext_literal(&e->text, "true");
      else
        jsontext_literal(&e->text, "false");
      break;
    case LUA_TNIL: jsontext_literal(&e->text, "null"); break;
    default:
      if (lua_type(L, -1) != LUA_TLIGHTUSERDATA || lua_touserdata(L, -1)) refuse_type(e);
      jsontext_literal(&e->text, "null");
  }
  lua_pop(L, 1);
}

/* The keys do not come as 1, 2, 3. If they are a list's nevertheless, go on by index. */
static void go_by_number(struct encoder *e, struct open_table *o) {
  lua_State *L = e->L;
  int table = table_at(e, e->depth - 1);
  lua_Integer count = 0, most = o->marked ? o->most : (lua_Integer)lua_rawlen(L, table);
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    if (o->marked && llist_is_count(L, -2)) continue;
    if (!lua_isinteger(L, -2) || lua_tointeger(L, -2) < 1 || lua_tointeger(L, -2) > most) refuse_keys(e);
    count++;
  }
  if (count < most && !o->marked) refuse_keys(e);
  o->walk = INDEXED;
  o->most = most;
}

/* Each of these functions writes the next elements of the innermost table, until it opens another table. False: no
 * element is left. */

static bool put_next_element(struct encoder *e, struct open_table *o) {
  lua_State *L = e->L;
  int table = table_at(e, e->depth - 1), level = e->depth;
  while (lua_next(L, table)) {
    if (!lua_isinteger(L, -2) || lua_tointeger(L, -2) != o->count + 1) {
      lua_settop(L, table);
      lua_pushnil(L);
      go_by_number(e, o);
      return true;
    }
    put_comma(e, o);
    put_value(e);
    if (e->depth != level) return true;
  }
  lua_pushnil(L);
  if (o->count >= o->most) return false;
  o->walk = INDEXED; /* the last elements are nil */
  return true;
}

static bool put_indexed_element(struct encoder *e, struct open_table *o) {
  int table = table_at(e, e->depth - 1);
  if (o->count >= o->most) return false;
  put_comma(e, o);
  lua_rawgeti(e->L, table, o->count);
  put_value(e);
  return true;
}

static void put_name(struct encoder *e, int index) {
  put_string(e, index);
  jsontext_byte(&e->text, ':');
  if (e->pretty) jsontext_byte(&e->text, ' ');
}

static bool put_next_pair(struct encoder *e, struct open_table *o) {
  lua_State *L = e->L;
  int table = table_at(e, e->depth - 1), level = e->depth;
  while (lua_next(L, table)) {
    if (lua_type(L, -2) != LUA_TSTRING) refuse_keys(e);
    put_comma(e, o);
    put_name(e, -2);
    put_value(e);
    if (e->depth != level) return true;
  }
  return false;
}

static bool put_sorted_pair(struct encoder *e, struct open_table *o) {
  lua_State *L = e->L;
  int table = table_at(e, e->depth - 1);
  if (o->count >= o->most) return false;
  put_comma(e, o);
  lua_rawgeti(L, table + 1, o->count);
  put_name(e, -1);
  lua_rawget(L, table);
  put_value(e);
  return true;
}

static void put_tables(struct encoder *e) {
  while (e->depth > 0) {
    struct open_table *o = &e->open[e->depth - 1];
    bool more = o->walk == LIST      ? put_next_element(e, o)
                : o->walk == INDEXED ? put_indexed_element(e, o)
                : o->walk == OBJECT  ? put_next_pair(e, o)
                                     : put_sorted_pair(e, o);
    if (!more) close_table(e);
  }
}

int ljson_encode(lua_State *L) {
  struct encoder e = {.L = L, .most_depth = ljson_depth(L, 2)};
  lua_settop(L, 5);
  e.pretty = lua_toboolean(L, 3);
  e.sort = lua_toboolean(L, 4);
  e.replace = lua_toboolean(L, 5);
  char own[JSONTEXT_OWN];
  struct open_table few[FEW];
  e.open = few;
  e.room = FEW;
  jsontext_open(&e.text, L, own);
  lua_pushnil(L);
  e.frames = lua_gettop(L);
  e.base = e.frames + 1;
  lua_pushvalue(L, 1);
  put_value(&e);
  put_tables(&e);
  jsontext_push(&e.text);
  return 1;
}
