/* SPDX-License-Identifier: MIT */
#include "lua/postgres/lpgtype.h"

#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/decimal.h"
#include "lua/postgres/lpgerror.h"

enum { MOST_DEPTH = 6 }; /* of an array: as the server's */

Oid lpgtype_element(Oid array) {
  static const struct {
    Oid array, element;
  } known[] = {
      {143, 142},   {199, LPG_JSON},  {651, 650},         {775, 774},         {1000, LPG_BOOL}, {1001, LPG_BYTEA},
      {1002, 18},   {1003, 19},       {1005, LPG_INT2},   {1007, LPG_INT4},   {1009, 25},       {1014, 1042},
      {1015, 1043}, {1016, LPG_INT8}, {1021, LPG_FLOAT4}, {1022, LPG_FLOAT8}, {1028, LPG_OID},  {1040, 829},
      {1041, 869},  {1115, 1114},     {1182, 1082},       {1183, 1083},       {1185, 1184},     {1187, 1186},
      {1231, 1700}, {1270, 1266},     {2951, 2950},       {3807, LPG_JSONB},
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (known[i].array == array) return known[i].element;
  return 0;
}

/* ---- from the server ----------------------------------------------------------------------------------------------
 */

static void push_integer(lua_State *L, const char *text, size_t size) {
  bool negative = *text == '-';
  uint64_t value = 0;
  for (size_t i = negative; i < size; i++) value = value * 10 + (uint64_t)(text[i] - '0');
  lua_pushinteger(L, (lua_Integer)(negative ? 0 - value : value));
}

static void push_float(lua_State *L, const char *text) {
  if (strcmp(text, "NaN") == 0) {
    lua_pushnumber(L, NAN);
    return;
  }
  if (strcmp(text, "Infinity") == 0 || strcmp(text, "-Infinity") == 0) {
    lua_pushnumber(L, *text == '-' ? -HUGE_VAL : HUGE_VAL);
    return;
  }
  struct braid_decimal decimal = braid_decimal_read(text);
  if (decimal.kind == BRAID_DECIMAL_FAULT || *decimal.end)
    lpgerror_raise(L, "a float was expected, and the server has sent %s", text);
  double number = decimal.kind == BRAID_DECIMAL_INTEGER ? (double)decimal.integer : decimal.number;
  lua_pushnumber(L, *text == '-' && number == 0 ? -0.0 : number);
}

static int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The form of bytea_output = escape. */
static void push_escaped(lua_State *L, const char *text, size_t size) {
  luaL_Buffer buffer;
  luaL_buffinit(L, &buffer);
  for (size_t i = 0; i < size; i++) {
    if (text[i] == '\\' && i + 3 < size && text[i + 1] != '\\') {
      luaL_addchar(&buffer, (char)((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0')));
      i += 3;
    } else {
      if (text[i] == '\\') i++;
      luaL_addchar(&buffer, text[i]);
    }
  }
  luaL_pushresult(&buffer);
}

static void push_bytes(lua_State *L, const char *text, size_t size) {
  if (size < 2 || text[0] != '\\' || text[1] != 'x') {
    push_escaped(L, text, size);
    return;
  }
  luaL_Buffer buffer;
  char *into = luaL_buffinitsize(L, &buffer, size / 2);
  size_t count = (size - 2) / 2;
  for (size_t i = 0; i < count; i++) {
    int high = hex(text[2 + 2 * i]), low = hex(text[3 + 2 * i]);
    if (high < 0 || low < 0) lpgerror_raise(L, "bytes were expected, and the server has sent something else");
    into[i] = (char)(high * 16 + low);
  }
  luaL_pushresultsize(&buffer, count);
}

/* ---- arrays */

struct reader {
  lua_State *L;
  const char *at, *end;
  struct lpgtype element;
};

static void refuse_array(lua_State *L) {
  lpgerror_raise(L, "an array was expected, and the server has sent another text");
}

/* Pushes the text of an element that stands in quotes. */
static void push_quoted(struct reader *reader) {
  luaL_Buffer buffer;
  luaL_buffinit(reader->L, &buffer);
  for (reader->at++; reader->at < reader->end && *reader->at != '"'; reader->at++) {
    if (*reader->at == '\\') reader->at++;
    if (reader->at < reader->end) luaL_addchar(&buffer, *reader->at);
  }
  if (reader->at >= reader->end) refuse_array(reader->L);
  reader->at++;
  luaL_pushresult(&buffer);
}

static void push_element(struct reader *reader) {
  lua_State *L = reader->L;
  bool quoted = *reader->at == '"';
  if (quoted) {
    push_quoted(reader);
  } else {
    const char *from = reader->at;
    while (reader->at < reader->end && *reader->at != ',' && *reader->at != '}') reader->at++;
    lua_pushlstring(L, from, (size_t)(reader->at - from));
  }
  size_t size;
  const char *text = lua_tolstring(L, -1, &size);
  if (!quoted && strcmp(text, "NULL") == 0)
    lua_pushlightuserdata(L, NULL);
  else
    lpgtype_push(L, &reader->element, text, size);
  lua_remove(L, -2);
}

static void push_array(struct reader *reader, int depth) {
  lua_State *L = reader->L;
  if (depth > MOST_DEPTH || reader->at >= reader->end || *reader->at != '{') refuse_array(L);
  luaL_checkstack(L, LUA_MINSTACK, "an array");
  lua_newtable(L);
  luaL_setmetatable(L, "braid.list");
  reader->at++;
  for (lua_Integer i = 1; reader->at < reader->end && *reader->at != '}'; i++) {
    if (*reader->at == '{')
      push_array(reader, depth + 1);
    else
      push_element(reader);
    lua_rawseti(L, -2, i);
    if (reader->at < reader->end && *reader->at == ',') reader->at++;
  }
  if (reader->at >= reader->end) refuse_array(L);
  reader->at++;
}

/* Lower bounds that are not 1 stand before the array: "[0:1]={...}". */
static void push_whole_array(lua_State *L, const struct lpgtype *type, const char *text, size_t size) {
  struct reader reader = {L, text, text + size, {.oid = type->element, .function = type->of_element}};
  const char *begin = *text == '[' ? memchr(text, '=', size) : NULL;
  if (begin) reader.at = begin + 1;
  push_array(&reader, 1);
}

static void push_by_function(lua_State *L, int function, const char *text, size_t size) {
  lua_pushvalue(L, function);
  lua_pushlstring(L, text, size);
  lua_call(L, 1, 1);
  if (!lua_isnil(L, -1)) return;
  lua_pop(L, 1);
  lua_pushlightuserdata(L, NULL);
}

void lpgtype_push(lua_State *L, const struct lpgtype *type, const char *text, size_t size) {
  if (type->function) {
    push_by_function(L, type->function, text, size);
    return;
  }
  if (type->element) {
    push_whole_array(L, type, text, size);
    return;
  }
  switch (type->oid) {
    case LPG_INT2:
    case LPG_INT4:
    case LPG_INT8:
    case LPG_OID: push_integer(L, text, size); return;
    case LPG_FLOAT4:
    case LPG_FLOAT8: push_float(L, text); return;
    case LPG_BOOL: lua_pushboolean(L, *text == 't'); return;
    case LPG_BYTEA: push_bytes(L, text, size); return;
    default: lua_pushlstring(L, text, size);
  }
}

/* ---- to the server ------------------------------------------------------------------------------------------------
 */

static bool is_integer_type(Oid type) {
  return type == LPG_INT2 || type == LPG_INT4 || type == LPG_INT8 || type == LPG_OID;
}

/* A whole float becomes an integer where the server wants one: it would refuse "2.0". */
static void number_to_text(lua_State *L, int index, Oid type) {
  char text[BRAID_DECIMAL_SIZE];
  lua_Number number = lua_tonumber(L, index);
  int whole;
  lua_Integer integer = lua_tointegerx(L, index, &whole);
  if (lua_isinteger(L, index) || (whole && is_integer_type(type)))
    lua_pushlstring(L, text, braid_decimal_write_integer(text, integer));
  else if (isfinite(number))
    lua_pushlstring(L, text, braid_decimal_write(text, number));
  else
    lua_pushstring(L, isnan(number) ? "NaN" : number > 0 ? "Infinity" : "-Infinity");
  lua_replace(L, index);
}

static void table_to_text(lua_State *L, int index, Oid type, int number, int encode) {
  Oid element = lpgtype_element(type);
  if (!element && type != LPG_JSON && type != LPG_JSONB)
    lpgerror_misuse(L, "parameter %d is a table, and the server expects neither an array nor JSON", number);
  lua_pushvalue(L, encode);
  lua_pushvalue(L, index);
  if (element)
    lua_pushinteger(L, (lua_Integer)element);
  else
    lua_pushnil(L);
  lua_call(L, 2, 1);
  lua_replace(L, index);
}

bool lpgtype_parameter(lua_State *L, int index, Oid type, int number, int encode, bool *binary) {
  *binary = false;
  switch (lua_type(L, index)) {
    case LUA_TNIL: return false;
    case LUA_TLIGHTUSERDATA:
      if (!lua_touserdata(L, index)) return false;
      break;
    case LUA_TBOOLEAN:
      lua_pushstring(L, lua_toboolean(L, index) ? "true" : "false");
      lua_replace(L, index);
      return true;
    case LUA_TNUMBER: number_to_text(L, index, type); return true;
    case LUA_TTABLE: table_to_text(L, index, type, number, encode); /* fall through */
    case LUA_TSTRING:
      *binary = type == LPG_BYTEA;
      if (!*binary && memchr(lua_tostring(L, index), 0, lua_rawlen(L, index)))
        lpgerror_misuse(L, "parameter %d has a zero byte, which a text of PostgreSQL cannot have (bytea can)", number);
      return true;
    default: break;
  }
  lpgerror_misuse(L, "parameter %d is a %s, and a string, number, boolean, table or nil was expected", number,
                  luaL_typename(L, index));
  return false;
}
