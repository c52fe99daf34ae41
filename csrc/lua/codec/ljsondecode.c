/* SPDX-License-Identifier: MIT
 * Decodes JSON. A zero byte follows the text, as it follows every Lua string; so the decoder may look one byte ahead.
 *
 * The elements of an open list or object are collected on the Lua stack, above a slot for its table. So the table can
 * be created with the right size. If there are many elements, or the table is nested deeply, they are moved into the
 * table early. */
#include <lauxlib.h>
#include <math.h>
#include <stdarg.h>

#include "core/base/decimal.h"
#include "core/base/utf8.h"
#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/codec/ljson.h"
#include "lua/codec/ljsontext.h"
#include "lua/codec/llist.h"

enum {
  FEW = 16,          /* nested tables that fit into an array on the C stack */
  MOST_WAITING = 64, /* most elements of one table on the stack */
  SHALLOW = 64       /* down to this depth elements are collected */
};

struct open_table {
  int slot; /* of the table; it is nil until the table is made */
  bool list, made;
  int waiting;       /* elements, or pairs, on the stack above it */
  lua_Integer count; /* elements, or pairs, in the table */
};

struct decoder {
  lua_State *L;
  const char *text_start, *start, *at, *end; /* start: after a byte order mark */
  struct jsontext text;                      /* for strings with escapes */
  int frames, list_metatable;                /* stack indices; frames: the memory of `open` */
  struct open_table *open;
  int depth, room, most_depth;
  bool refuse_big, replace;
};

/* ---- refusal -------------------------------------------------------------------------------------------------- */

static void set_integer(lua_State *L, const char *name, lua_Integer value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, name);
}

/* Raises. Columns count characters. */
static int refuse(struct decoder *d, const char *place, const char *format, ...) {
  lua_State *L = d->L;
  lua_Integer line = 1, column = 1;
  va_list arguments;
  for (const char *c = d->start; c < place; c++) {
    if (*c == '\n') {
      line++;
      column = 1;
    } else if (((unsigned char)*c & 0xC0) != 0x80) {
      column++;
    }
  }
  luaL_checkstack(L, 10, NULL);
  va_start(arguments, format);
  const char *reason = lua_pushvfstring(L, format, arguments);
  va_end(arguments);
  lerror_push(L, "json", "not JSON (line %I, column %I): %s", (LUAI_UACINT)line, (LUAI_UACINT)column, reason);
  set_integer(L, "line", line);
  set_integer(L, "column", column);
  set_integer(L, "offset", place - d->text_start + 1);
  return lua_error(L);
}

/* Raises: the byte at d->at is not what is expected. */
static int unexpected(struct decoder *d, const char *expected) {
  unsigned char byte = (unsigned char)*d->at;
  if (d->at == d->end) return refuse(d, d->at, "%s is expected, and the text ends", expected);
  if (byte > 0x20 && byte < 0x7F) return refuse(d, d->at, "%s is expected, not '%c'", expected, byte);
  return refuse(d, d->at, "%s is expected, not the byte 0x%c%c", expected, "0123456789ABCDEF"[byte >> 4],
                "0123456789ABCDEF"[byte & 15]);
}

/* ---- strings -------------------------------------------------------------------------------------------------- */

/* Reads the four digits of \uXXXX. */
static uint32_t get_hex(struct decoder *d) {
  uint32_t value = 0;
  for (int i = 0; i < 4; i++, d->at++) {
    char c = *d->at;
    int digit = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
    if (digit < 0) unexpected(d, "a hexadecimal digit");
    value = value * 16 + (uint32_t)digit;
  }
  return value;
}

/* Reads one character after \u, which may be a surrogate pair. */
static void get_character(struct decoder *d) {
  const char *place = d->at - 2;
  uint32_t character = get_hex(d);
  if (character >= 0xD800 && character < 0xE000) {
    if (character >= 0xDC00 || d->at[0] != '\\' || d->at[1] != 'u') refuse(d, place, "half of a surrogate pair");
    d->at += 2;
    uint32_t second = get_hex(d);
    if (second < 0xDC00 || second >= 0xE000) refuse(d, place, "half of a surrogate pair");
    character = 0x10000 + ((character - 0xD800) << 10) + (second - 0xDC00);
  }
  jsontext_need(&d->text, 4);
  d->text.at += braid_utf8_write(d->text.at, character);
}

/* Reads an escape. It is at the backslash. */
static void get_escape(struct decoder *d) {
  char c = d->at[1];
  d->at += 2;
  switch (c) {
    case '"':
    case '\\':
    case '/': break;
    case 'b': c = '\b'; break;
    case 'f': c = '\f'; break;
    case 'n': c = '\n'; break;
    case 'r': c = '\r'; break;
    case 't': c = '\t'; break;
    case 'u': get_character(d); return;
    default: refuse(d, d->at - 2, "an escape that JSON does not have");
  }
  jsontext_byte(&d->text, c);
}

/* Handles a byte that is neither plain nor a quote, and skips it. False: it is a part of the string as it is. */
static bool get_special(struct decoder *d, const char *piece) {
  unsigned char byte = (unsigned char)*d->at;
  int length = byte < 0x80 ? 0 : braid_utf8_character(d->at, d->end);
  if (length > 0) {
    d->at += length;
    return false;
  }
  if (d->at == d->end) refuse(d, d->at, "a string is not closed, and the text ends");
  if (length < 0 && !d->replace) refuse(d, d->at, "a string is not UTF-8");
  if (length == 0 && byte != '\\')
    refuse(d, d->at, "a control character in a string (it is to be written as \\u00%c%c)", "01"[byte >> 4],
           "0123456789abcdef"[byte & 15]);
  jsontext_add(&d->text, piece, (size_t)(d->at - piece));
  if (length == 0) {
    get_escape(d);
  } else {
    jsontext_literal(&d->text, BRAID_UTF8_REPLACEMENT);
    d->at -= length;
  }
  return true;
}

/* Reads a string and pushes it. It is at the quote. */
static void get_string(struct decoder *d) {
  const char *piece = ++d->at;
  bool copied = false;
  while (*(d->at = braid_utf8_skip_plain(d->at, d->end)) != '"')
    if (get_special(d, piece)) {
      copied = true;
      piece = d->at;
    }
  if (copied) {
    jsontext_add(&d->text, piece, (size_t)(d->at - piece));
    jsontext_push(&d->text);
  } else {
    lua_pushlstring(d->L, piece, (size_t)(d->at - piece));
  }
  d->at++;
}

/* ---- numbers and words ---------------------------------------------------------------------------------------- */

static void get_number(struct decoder *d) {
  struct braid_decimal number = braid_decimal_read(d->at);
  const char *place = d->at;
  switch (number.kind) {
    case BRAID_DECIMAL_FAULT: refuse(d, number.end, "%s", number.fault); break;
    case BRAID_DECIMAL_INTEGER: lua_pushinteger(d->L, number.integer); break;
    case BRAID_DECIMAL_BIG:
      if (d->refuse_big) refuse(d, place, "an integer does not fit into 64 bits");
      /* fall through */
    case BRAID_DECIMAL_FLOAT:
      if (isinf(number.number)) refuse(d, place, "a number is larger than a float can be");
      lua_pushnumber(d->L, number.number);
  }
  d->at = number.end;
}

static void get_word(struct decoder *d, const char *word, size_t size) {
  if ((size_t)(d->end - d->at) < size || memcmp(d->at, word, size) != 0) unexpected(d, "a value");
  d->at += size;
}

static inline void skip_blanks(struct decoder *d) {
  while (*d->at == ' ' || *d->at == '\n' || *d->at == '\r' || *d->at == '\t') d->at++;
}

/* ---- lists and objects ---------------------------------------------------------------------------------------- */

/* Moves the collected elements into the table. */
static void settle(struct decoder *d, struct open_table *o) {
  lua_State *L = d->L;
  if (!o->made) {
    lua_createtable(L, o->list ? o->waiting : 0, o->list ? 0 : o->waiting);
    lua_replace(L, o->slot);
    o->made = true;
  }
  if (o->list) {
    for (int i = o->waiting; i > 0; i--) lua_rawseti(L, o->slot, o->count + i);
  } else {
    for (int i = 0; i < o->waiting; i++) { /* in order, so that the last of several equal names wins */
      lua_pushvalue(L, o->slot + 1 + 2 * i);
      lua_pushvalue(L, o->slot + 2 + 2 * i);
      lua_rawset(L, o->slot);
    }
    lua_settop(L, o->slot);
  }
  o->count += o->waiting;
  o->waiting = 0;
}

/* Completes the innermost table, which is on the top of the stack then. */
static void close_table(struct decoder *d) {
  struct open_table *o = &d->open[--d->depth];
  settle(d, o);
  if (o->list) {
    lua_pushvalue(d->L, d->list_metatable);
    lua_setmetatable(d->L, o->slot);
  }
  d->at++;
}

static void grow_frames(struct decoder *d) {
  lua_State *L = d->L;
  int room = d->room * 2;
  struct open_table *open = lua_newuserdatauv(L, (size_t)room * sizeof *open, 0);
  memcpy(open, d->open, (size_t)d->depth * sizeof *open);
  lua_replace(L, d->frames);
  d->open = open;
  d->room = room;
}

static void get_name(struct decoder *d) {
  if (*d->at != '"') unexpected(d, "a name in quotes");
  get_string(d);
  skip_blanks(d);
  if (*d->at != ':') unexpected(d, "':'");
  d->at++;
}

/* Begins a list or object; it is at the bracket. True: it is empty and complete, on the top of the stack. */
static bool open_table(struct decoder *d, bool list) {
  lua_State *L = d->L;
  if (d->depth == d->most_depth)
    refuse(d, d->at, "lists and objects are more than %d deep in each other", d->most_depth);
  if (d->depth == d->room) grow_frames(d);
  if (!lua_checkstack(L, 2 * MOST_WAITING + 10)) lerror_memory(L);
  lua_pushnil(L);
  d->open[d->depth++] = (struct open_table){.slot = lua_gettop(L), .list = list};
  d->at++;
  skip_blanks(d);
  if (*d->at == (list ? ']' : '}')) {
    close_table(d);
    return true;
  }
  if (!list) get_name(d);
  return false;
}

/* Reads the next value and pushes it. False: a list or object has begun. */
static bool get_value(struct decoder *d) {
  skip_blanks(d);
  switch (*d->at) {
    case '"': get_string(d); return true;
    case '{': return open_table(d, false);
    case '[': return open_table(d, true);
    case 't':
      get_word(d, "true", 4);
      lua_pushboolean(d->L, 1);
      return true;
    case 'f':
      get_word(d, "false", 5);
      lua_pushboolean(d->L, 0);
      return true;
    case 'n':
      get_word(d, "null", 4);
      lua_pushlightuserdata(d->L, NULL);
      return true;
    default:
      if (*d->at != '-' && (*d->at < '0' || *d->at > '9')) unexpected(d, "a value");
      get_number(d);
      return true;
  }
}

/* Adds the element on the top of the stack to the innermost table. True: the table is complete, and is itself an
 * element now. */
static bool end_element(struct decoder *d) {
  struct open_table *o = &d->open[d->depth - 1];
  if (++o->waiting == MOST_WAITING || d->depth > SHALLOW) settle(d, o);
  skip_blanks(d);
  if (*d->at == ',') {
    d->at++;
    if (o->list) return false;
    skip_blanks(d);
    get_name(d);
    return false;
  }
  if (*d->at != (o->list ? ']' : '}')) unexpected(d, o->list ? "',' or ']'" : "',' or '}'");
  close_table(d);
  return true;
}

int ljson_decode(lua_State *L) {
  size_t size;
  struct decoder d = {.L = L, .text_start = larg_string(L, 1, "text", &size), .most_depth = ljson_depth(L, 2)};
  lua_settop(L, 4);
  d.refuse_big = lua_toboolean(L, 3);
  d.replace = lua_toboolean(L, 4);
  d.start = d.text_start;
  d.end = d.start + size;
  if (size >= 3 && memcmp(d.start, "\xEF\xBB\xBF", 3) == 0) d.start += 3; /* a byte order mark */
  d.at = d.start;
  char own[JSONTEXT_OWN];
  struct open_table few[FEW];
  d.open = few;
  d.room = FEW;
  jsontext_open(&d.text, L, own);
  lua_pushnil(L);
  d.frames = lua_gettop(L);
  llist_metatable(L);
  d.list_metatable = lua_gettop(L);
  for (bool whole = get_value(&d); !whole || d.depth > 0;) whole = whole ? end_element(&d) : get_value(&d);
  skip_blanks(&d);
  if (d.at != d.end) unexpected(&d, "the end");
  return 1;
}
