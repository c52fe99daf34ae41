/* SPDX-License-Identifier: MIT
 * Tables in text, for lua/braid/kernels/csv.lua. */
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/csv.h"
#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/base/lopen.h"
#include "lua/kernels/lkernel.h"
#include "lua/kernels/lrow.h"
#include "lua/sched/lsched.h"
#include "lua/sync/larray.h"

#define METATABLE "braid.csv"

/* The userdata; its user value is the array with the text. */
static int csv_gc(lua_State *L) {
  struct braid_csv *csv = lua_touserdata(L, 1);
  braid_csv_term(csv);
  free(csv->column);
  *csv = (struct braid_csv){0};
  return 0;
}

/* csv_new(text, first, separator, columns) -> table. `text`: an array of u8; the records begin at its byte `first`
 * (from 1) */
static int csv_new(lua_State *L) {
  struct braid_row text = lrow_check_type(L, 1, "text", BRAID_U8);
  lua_Integer first = larg_between(L, 2, "first", 1, (lua_Integer)text.count + 1);
  size_t size;
  const char *separator = larg_string(L, 3, "separator", &size);
  lua_Integer columns = larg_between(L, 4, "columns", 1, 1 << 20);
  if (size != 1) return lerror_misuse(L, "a separator of one byte expected");
  struct braid_csv *csv = lua_newuserdatauv(L, sizeof *csv, 1);
  *csv = (struct braid_csv){.text = (const char *)text.data + first - 1, .separator = *separator};
  csv->size = text.count - (size_t)(first - 1);
  luaL_setmetatable(L, METATABLE);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  csv->column = calloc((size_t)columns, sizeof *csv->column);
  if (!csv->column) return lerror_memory(L);
  csv->columns = (size_t)columns;
  return 1;
}

struct step {
  struct braid_csv *csv; /* on the stack below */
  const char *begin;     /* of the file's text */
};

/* The number of the line in which a place is. */
static lua_Integer line_of(const char *begin, const char *place) {
  lua_Integer line = 1;
  for (; (begin = memchr(begin, '\n', (size_t)(place - begin))); begin++) line++;
  return line;
}

/* Where the file's text begins: that of the array which the table keeps. */
static const char *begin_of(lua_State *L) {
  lua_getiuservalue(L, 1, 1);
  const char *begin = larray_check(L, -1, "text").data;
  lua_pop(L, 1);
  return begin;
}

static void run_count(struct braid_team *team, void *arguments) {
  braid_csv_count(team, ((struct step *)arguments)->csv);
}

static int finish_count(lua_State *L, void *arguments) {
  const struct braid_csv *csv = ((struct step *)arguments)->csv;
  lrow_check_status(L, csv->status);
  lua_pushinteger(L, (lua_Integer)csv->records);
  return 1;
}

static const struct lkernel count_kernel = {"read_csv", run_count, finish_count, NULL};

/* csv_count(table) -> the number of its records. Once. Suspends. */
static int csv_count(lua_State *L) {
  struct braid_csv *csv = larg_object(L, 1, METATABLE);
  if (csv->starts) return lerror_misuse(L, "the records are counted already");
  ((struct step *)lkernel_new(L, &count_kernel, sizeof(struct step)))->csv = csv;
  return lkernel_run(L, 0, csv->size < 16384);
}

static void run_read(struct braid_team *team, void *arguments) {
  braid_csv_read(team, ((struct step *)arguments)->csv);
}

static int finish_read(lua_State *L, void *arguments) {
  const struct braid_csv *csv = ((struct step *)arguments)->csv;
  lrow_check_status(L, csv->status);
  if (csv->uneven) {
    lua_pushnil(L);
    lua_pushinteger(L, (lua_Integer)csv->bad_record + 1);
    lua_pushinteger(L, (lua_Integer)csv->bad_fields);
    lua_pushinteger(L, line_of(((struct step *)arguments)->begin, csv->text + csv->bad_at));
    return 4;
  }
  static const char letters[] = {[BRAID_CSV_INTEGER] = 'i', [BRAID_CSV_FLOAT] = 'f', [BRAID_CSV_TEXT] = 't'};
  luaL_Buffer kinds;
  luaL_buffinit(L, &kinds);
  for (size_t i = 0; i < csv->columns; i++) luaL_addchar(&kinds, letters[csv->column[i].kind]);
  luaL_pushresult(&kinds);
  return 1;
}

static const struct lkernel read_kernel = {"read_csv", run_read, finish_read, NULL};

/* csv_read(table, numbers or false, integers, ...) -> for each column "i", "f" or "t"; or nil, and the number of a
 * record that has another number of fields, that number, and the line in the file. `numbers` (f64) and `integers` (i64)
 * of a column have an element for each record. Suspends. */
static int csv_read(lua_State *L) {
  struct braid_csv *csv = larg_object(L, 1, METATABLE);
  if (!csv->starts || lua_gettop(L) != 1 + 2 * (int)csv->columns)
    return lerror_misuse(L, "two arrays a column expected");
  for (size_t i = 0; i < csv->columns; i++) {
    int index = 2 + 2 * (int)i;
    if (!lua_toboolean(L, index)) continue;
    struct braid_row numbers = lrow_check_out_type(L, index, "numbers", BRAID_F64);
    struct braid_row integers = lrow_check_out_type(L, index + 1, "integers", BRAID_I64);
    lrow_check_count(L, &numbers, "numbers", csv->records);
    lrow_check_count(L, &integers, "integers", csv->records);
    csv->column[i] = (struct braid_csv_column){.numbers = numbers.data, .integers = integers.data};
  }
  const char *begin = begin_of(L);
  *(struct step *)lkernel_new(L, &read_kernel, sizeof(struct step)) = (struct step){csv, begin};
  return lkernel_run(L, 0, csv->size < 16384);
}

/* csv_find(table, column, whole) -> the first record, from 1, whose field is no number, or with `whole` no integer; its
 * line in the file, and the field's text. Nothing if there is none. Takes as long as the file is large. */
static int csv_find(lua_State *L) {
  const struct braid_csv *csv = larg_object(L, 1, METATABLE);
  size_t column = (size_t)larg_between(L, 2, "column", 1, (lua_Integer)csv->columns), record, at;
  const char *from, *to;
  if (!braid_csv_find(csv, column - 1, lua_toboolean(L, 3), &record, &at, &from, &to)) return 0;
  lua_pushinteger(L, (lua_Integer)record + 1);
  lua_pushinteger(L, line_of(begin_of(L), csv->text + at));
  lua_pushlstring(L, from, (size_t)(to - from));
  return 3;
}

/* Pushes a field's text; doubled quotes become one. */
static void push_field(lua_State *L, const char *from, const char *to, bool quoted) {
  lua_pushlstring(L, from, (size_t)(to - from));
  if (!quoted || !memchr(from, '"', (size_t)(to - from))) return;
  luaL_gsub(L, lua_tostring(L, -1), "\"\"", "\"");
  lua_remove(L, -2);
}

/* csv_texts(table, column or 0) -> list of the texts of a column; 0: of the fields of the first record */
static int csv_texts(lua_State *L) {
  const struct braid_csv *csv = larg_object(L, 1, METATABLE);
  size_t wanted = (size_t)larg_between(L, 2, "column", 0, (lua_Integer)csv->columns);
  const char *at = csv->text, *end = csv->text + csv->size;
  lua_newtable(L);
  lua_Integer count = 0;
  while (at < end) {
    const char *from, *to, *start = at;
    bool quoted;
    for (size_t field = 1;; field++) {
      at = braid_csv_field(at, end, csv->separator, &from, &to, &quoted);
      bool is_empty_line = field == 1 && from == to && !quoted && (at == end || *at == '\n');
      if (!is_empty_line && (wanted == 0 || field == wanted)) {
        push_field(L, from, to, quoted);
        lua_rawseti(L, -2, ++count);
      }
      if (at == end || *at == '\n') break;
      at++;
    }
    if (wanted == 0 && count > 0) return 1;
    at = at < end ? at + 1 : end;
    if (at == start) break;
  }
  return 1;
}

void lcsv_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"__gc", csv_gc}, {NULL, NULL}};
  static const luaL_Reg functions[] = {
      {"csv_new", csv_new},     {"csv_count", csv_count}, {"csv_read", csv_read},
      {"csv_texts", csv_texts}, {"csv_find", csv_find},   {NULL, NULL},
  };
  sched_class(L, METATABLE, methods);
  lua_pop(L, 1);
  sched_register(L, functions);
}
