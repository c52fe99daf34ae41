/* SPDX-License-Identifier: MIT
 * Redis's protocol, RESP 2 and 3. A parser keeps the bytes that have come. It first looks for the end of a reply, and
 * continues this search where it stopped; only a reply that is complete becomes Lua values. So the work is linear in
 * the size of a reply, and a count that the server announces costs nothing before its elements are there. The state's
 * own thread; nothing blocks. */
#include <lauxlib.h>
#include <math.h>
#include <string.h>

#include "core/base/buffer.h"
#include "core/base/decimal.h"
#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/base/lopen.h"
#include "lua/codec/llist.h"
#include "lua/sched/lsched.h"

#define PARSER "braid.resp"

enum {
  MOST_LINE = 1 << 16, /* bytes of a line: of a number, a simple string or an error */
  MOST_DEPTH = 100,    /* of lists in lists */
  KEPT = 1 << 20       /* room that an empty parser keeps */
};

enum kind { REPLY = 1, FAILURE, PUSH };

struct parser {
  struct braid_buffer bytes;
  size_t start;     /* of the reply that is looked for */
  size_t at;        /* where the search goes on: at the first byte of an element */
  uint64_t missing; /* elements that must still come; 0: no reply has begun */
  size_t most;      /* bytes of a reply */
};

static struct parser *check(lua_State *L) { return larg_object(L, 1, PARSER); }

static int refuse(lua_State *L, const char *why) {
  lerror_push(L, "redis", "the server does not speak Redis's protocol: %s", why);
  lua_pushliteral(L, "PROTOCOL");
  lua_setfield(L, -2, "code");
  return lua_error(L);
}

/* ---- commands ------------------------------------------------------------------------------------------------- */

static size_t digits(size_t number) {
  size_t count = 1;
  for (; number >= 10; number /= 10) count++;
  return count;
}

static char *put_number(char *into, char sign, size_t number) {
  *into++ = sign;
  return into + braid_decimal_write_integer(into, (int64_t)number);
}

static char *put_end(char *into) {
  memcpy(into, "\r\n", 2);
  return into + 2;
}

/* Makes the argument at `index` a string and returns its size. */
static size_t word_size(lua_State *L, int index) {
  if (lua_isinteger(L, index)) {
    char text[BRAID_DECIMAL_SIZE];
    lua_pushlstring(L, text, braid_decimal_write_integer(text, lua_tointeger(L, index)));
    lua_replace(L, index);
  } else if (lua_type(L, index) == LUA_TNUMBER) {
    lua_Number number = lua_tonumber(L, index);
    if (isfinite(number)) {
      char text[BRAID_DECIMAL_SIZE];
      lua_pushlstring(L, text, braid_decimal_write(text, number));
    } else {
      lua_pushstring(L, isnan(number) ? "nan" : number > 0 ? "inf" : "-inf");
    }
    lua_replace(L, index);
  } else if (lua_type(L, index) != LUA_TSTRING) {
    return (size_t)lerror_misuse(L, "word %d of a command is a string or a number, and this is %s", index,
                                 larg_describe(L, index));
  }
  return lua_rawlen(L, index);
}

/* resp_encode(...) -> the bytes of a command. */
static int encode(lua_State *L) {
  int count = lua_gettop(L);
  size_t size = 3 + digits((size_t)count);
  for (int i = 1; i <= count; i++) {
    size_t word = word_size(L, i);
    size += 5 + digits(word) + word;
  }
  luaL_Buffer buffer;
  char *into = luaL_buffinitsize(L, &buffer, size);
  into = put_end(put_number(into, '*', (size_t)count));
  for (int i = 1; i <= count; i++) {
    size_t word;
    const char *text = lua_tolstring(L, i, &word);
    into = put_end(put_number(into, '$', word));
    memcpy(into, text, word);
    into = put_end(into + word);
  }
  luaL_pushresultsize(&buffer, size);
  return 1;
}

/* ---- looking for the end of a reply ----------------------------------------------------------------------------- */

/* The line after the type's byte at `at`. */
struct line {
  const char *text;
  size_t size; /* without its end */
  size_t next; /* the index after it */
};

/* False when the line is not complete. */
static bool find_line(lua_State *L, const struct parser *parser, size_t at, struct line *line) {
  const char *from = parser->bytes.data + at + 1;
  size_t there = parser->bytes.size - at - 1;
  const char *end = memchr(from, '\n', there < MOST_LINE ? there : MOST_LINE);
  if (!end) return there >= MOST_LINE ? refuse(L, "a line is too long") : false;
  if (end == from || end[-1] != '\r') refuse(L, "a line has no carriage return");
  *line = (struct line){from, (size_t)(end - 1 - from), (size_t)(end + 1 - parser->bytes.data)};
  return true;
}

static int64_t read_integer(lua_State *L, const struct line *line) {
  bool negative = line->size > 0 && *line->text == '-';
  size_t first = negative || (line->size > 0 && *line->text == '+');
  uint64_t value = 0, most = (uint64_t)INT64_MAX + negative;
  if (first == line->size || line->size - first > 19) refuse(L, "a number was expected");
  for (size_t i = first; i < line->size; i++) {
    unsigned digit = (unsigned)(line->text[i] - '0');
    if (digit > 9) refuse(L, "a number was expected");
    value = value * 10 + digit;
  }
  if (value > most) refuse(L, "a number is too large");
  return negative ? (int64_t)(0 - value) : (int64_t)value;
}

/* The number of a count or a size; -1 stands for nothing. */
static int64_t read_count(lua_State *L, const struct line *line) {
  int64_t count = read_integer(L, line);
  if (count < -1) refuse(L, "a negative count");
  return count;
}

/* How many elements follow one of this type, with `count` in its line. */
static uint64_t elements(char type, int64_t count) {
  if (count < 0) return 0;
  switch (type) {
    case '*':
    case '~':
    case '>': return (uint64_t)count;
    case '%': return (uint64_t)count * 2;
    case '|': return (uint64_t)count * 2 + 1; /* and what the attributes belong to */
    default: return 0;
  }
}

static bool is_blob(char type) { return type == '$' || type == '!' || type == '='; }

/* Goes over one element. False when it is not complete. */
static bool pass_element(lua_State *L, struct parser *parser) {
  struct line line = {0};
  if (parser->at >= parser->bytes.size) return false;
  char type = parser->bytes.data[parser->at];
  if (!strchr("+-:$*_#,(!=%~>|", type) || type == '\0') refuse(L, "an unknown type");
  if (!find_line(L, parser, parser->at, &line)) return false;
  uint64_t more = 0;
  if (is_blob(type) || strchr("*~>%|", type)) {
    int64_t count = read_count(L, &line);
    if (count > 0 && (uint64_t)count > parser->most) refuse(L, "a reply is larger than max_reply");
    more = elements(type, count);
    if (is_blob(type) && count >= 0) {
      size_t end = line.next + (size_t)count;
      if (parser->bytes.size < end + 2) return false;
      if (memcmp(parser->bytes.data + end, "\r\n", 2) != 0) refuse(L, "a string has no end");
      line.next = end + 2;
    }
  }
  parser->at = line.next;
  parser->missing += more;
  if (parser->missing > parser->most) refuse(L, "a reply is larger than max_reply");
  parser->missing--;
  return true;
}

/* Whether a reply is complete. Raises if it becomes larger than it may be. */
static bool is_complete(lua_State *L, struct parser *parser) {
  if (parser->missing == 0) {
    if (parser->at == parser->bytes.size) return false;
    parser->missing = 1;
  }
  while (parser->missing > 0) {
    if (pass_element(L, parser)) continue;
    if (parser->bytes.size - parser->start > parser->most) refuse(L, "a reply is larger than max_reply");
    return false;
  }
  return true;
}

/* ---- making values ---------------------------------------------------------------------------------------------- */

static size_t push_value(lua_State *L, const struct parser *parser, size_t at, int depth);

/* An error value: its code is the first word. */
static void push_failure(lua_State *L, const char *text, size_t size) {
  size_t code = 0;
  while (code < size && text[code] != ' ') code++;
  lua_pushlstring(L, text, size);
  lerror_push(L, "redis", "%s", lua_tostring(L, -1));
  lua_pushlstring(L, text, code);
  lua_setfield(L, -2, "code");
  lua_remove(L, -2);
}

static void push_double(lua_State *L, const struct line *line) {
  lua_pushlstring(L, line->text, line->size);
  const char *text = lua_tostring(L, -1);
  lua_Number number;
  if (strcmp(text, "inf") == 0) {
    number = HUGE_VAL;
  } else if (strcmp(text, "-inf") == 0) {
    number = -HUGE_VAL;
  } else if (strcmp(text, "nan") == 0 || strcmp(text, "-nan") == 0) {
    number = NAN;
  } else {
    if (strpbrk(text, "xX") || lua_stringtonumber(L, text) != line->size + 1) refuse(L, "a number was expected");
    number = lua_tonumber(L, -1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  lua_pushnumber(L, number);
}

static void push_boolean(lua_State *L, const struct line *line) {
  if (line->size != 1 || (*line->text != 't' && *line->text != 'f')) refuse(L, "a boolean was expected");
  lua_pushboolean(L, *line->text == 't');
}

/* What stands for nothing inside a list or a map. */
static void replace_nil(lua_State *L) {
  if (!lua_isnil(L, -1)) return;
  lua_pop(L, 1);
  lua_pushlightuserdata(L, NULL);
}

static size_t push_list(lua_State *L, const struct parser *parser, size_t at, int64_t count, int depth) {
  lua_createtable(L, count < INT32_MAX ? (int)count : 0, 0);
  llist_metatable(L);
  lua_setmetatable(L, -2);
  for (int64_t i = 1; i <= count; i++) {
    at = push_value(L, parser, at, depth + 1);
    replace_nil(L);
    lua_rawseti(L, -2, i);
  }
  return at;
}

/* No key of a table: it becomes the text. */
static void replace_nan(lua_State *L) {
  if (lua_type(L, -1) != LUA_TNUMBER || lua_tonumber(L, -1) == lua_tonumber(L, -1)) return;
  lua_pop(L, 1);
  lua_pushliteral(L, "nan");
}

static size_t push_map(lua_State *L, const struct parser *parser, size_t at, int64_t count, int depth) {
  lua_createtable(L, 0, count < INT32_MAX ? (int)count : 0);
  for (int64_t i = 0; i < count; i++) {
    at = push_value(L, parser, at, depth + 1);
    replace_nil(L);
    replace_nan(L);
    at = push_value(L, parser, at, depth + 1);
    replace_nil(L);
    lua_rawset(L, -3);
  }
  return at;
}

/* The value after attributes, which nobody asks for. */
static size_t push_after(lua_State *L, const struct parser *parser, size_t at, int64_t count, int depth) {
  for (int64_t i = 0; i < 2 * count; i++) {
    at = push_value(L, parser, at, depth + 1);
    lua_pop(L, 1);
  }
  return push_value(L, parser, at, depth + 1);
}

static size_t push_blob(lua_State *L, const struct parser *parser, char type, size_t at, int64_t count) {
  const char *text = parser->bytes.data + at;
  size_t size = (size_t)count;
  if (count < 0) {
    lua_pushnil(L);
    return at;
  }
  if (type == '!')
    push_failure(L, text, size);
  else if (type == '=' && size >= 4) /* "txt:" */
    lua_pushlstring(L, text + 4, size - 4);
  else
    lua_pushlstring(L, text, size);
  return at + size + 2;
}

static size_t push_several(lua_State *L, const struct parser *parser, char type, size_t at, int64_t count, int depth) {
  if (depth > MOST_DEPTH) refuse(L, "lists are nested too deeply");
  luaL_checkstack(L, LUA_MINSTACK, "a reply");
  if (type == '|') return push_after(L, parser, at, count < 0 ? 0 : count, depth);
  if (count < 0) {
    lua_pushnil(L);
    return at;
  }
  return (type == '%' ? push_map : push_list)(L, parser, at, count, depth);
}

/* Pushes the value that begins at `at`, which is complete. Returns the index after it. */
static size_t push_value(lua_State *L, const struct parser *parser, size_t at, int depth) {
  struct line line = {0};
  char type = parser->bytes.data[at];
  find_line(L, parser, at, &line);
  switch (type) {
    case '+':
    case '(': lua_pushlstring(L, line.text, line.size); break;
    case '-': push_failure(L, line.text, line.size); break;
    case ':': lua_pushinteger(L, read_integer(L, &line)); break;
    case ',': push_double(L, &line); break;
    case '#': push_boolean(L, &line); break;
    case '_': lua_pushnil(L); break;
    case '$':
    case '!':
    case '=': return push_blob(L, parser, type, line.next, read_count(L, &line));
    default: return push_several(L, parser, type, line.next, read_count(L, &line), depth);
  }
  return line.next;
}

/* ---- the parser ------------------------------------------------------------------------------------------------- */

/* resp_parser(max_reply) -> parser */
static int parser_new(lua_State *L) {
  lua_Integer most = larg_integer(L, 1, "max_reply", 1);
  struct parser *parser = lua_newuserdatauv(L, sizeof *parser, 0);
  *parser = (struct parser){.most = (size_t)most};
  braid_buffer_init(&parser->bytes);
  luaL_setmetatable(L, PARSER);
  return 1;
}

static int parser_gc(lua_State *L) {
  braid_buffer_term(&check(L)->bytes);
  return 0;
}

/* Drops the replies that were returned. */
static void drop_passed(struct parser *parser) {
  struct braid_buffer *bytes = &parser->bytes;
  if (parser->start == 0) return;
  size_t left = bytes->size - parser->start;
  if (left > 0) memmove(bytes->data, bytes->data + parser->start, left);
  parser->at -= parser->start;
  parser->start = 0;
  bytes->size = left;
  if (left == 0 && bytes->capacity > KEPT) {
    braid_buffer_term(bytes);
    braid_buffer_init(bytes);
  }
}

/* parser:feed(bytes) */
static int parser_feed(lua_State *L) {
  struct parser *parser = check(L);
  size_t size;
  const char *more = larg_string(L, 2, "bytes", &size);
  drop_passed(parser);
  if (!braid_buffer_append(&parser->bytes, more, size)) return lerror_memory(L);
  return 0;
}

/* parser:next() -> kind, value; nothing when no reply is complete. Kind 1: a reply; 2: the server's refusal, an error
 * value; 3: a push. Raises kind "redis", code "PROTOCOL", for what is no reply. */
static int parser_next(lua_State *L) {
  struct parser *parser = check(L);
  if (!is_complete(L, parser)) return 0;
  char type = parser->bytes.data[parser->start];
  lua_pushinteger(L, type == '-' || type == '!' ? FAILURE : type == '>' ? PUSH : REPLY);
  push_value(L, parser, parser->start, 0);
  parser->start = parser->at;
  return 2;
}

static const luaL_Reg methods[] = {{"feed", parser_feed}, {"next", parser_next}, {"__gc", parser_gc}, {NULL, NULL}};

static const luaL_Reg functions[] = {{"resp_encode", encode}, {"resp_parser", parser_new}, {NULL, NULL}};

void lresp_open(lua_State *L) {
  sched_class(L, PARSER, methods);
  lua_pop(L, 1);
  sched_register(L, functions);
}
