/* SPDX-License-Identifier: MIT
 * Copies between views of arrays (lua/braid/sync/view.lua), whose elements are not neighbours. */
#include <lauxlib.h>
#include <string.h>

#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/base/lopen.h"
#include "lua/sched/lsched.h"
#include "lua/sync/larray.h"

/* A place in an array: the index of an element, and the steps to the next row and column. */
struct place {
  struct larray_view view;
  lua_Integer first, row_step, column_step;
};

/* Reads a place at `index`, and checks that rows x columns elements are in the array. */
static struct place check_place(lua_State *L, int index, lua_Integer rows, lua_Integer columns) {
  struct place place = {.view = larray_check(L, index, "array")};
  lua_Integer length = (lua_Integer)place.view.length;
  place.first = larg_between(L, index + 1, "first", 0, length);
  place.row_step = larg_between(L, index + 2, "row_step", 0, length);
  place.column_step = larg_between(L, index + 3, "column_step", 0, length);
  if (rows == 0 || columns == 0) return place;
  bool inside = !__builtin_mul_overflow(rows - 1, place.row_step, &rows) &&
                !__builtin_mul_overflow(columns - 1, place.column_step, &columns) && rows < length &&
                columns < length && rows + columns < length - place.first;
  if (!inside) lerror_misuse(L, "a view reaches beyond its array");
  return place;
}

/* view_copy(to, first, row_step, column_step, from, first, row_step, column_step, rows, columns): arrays of one type */
static int view_copy(lua_State *L) {
  lua_Integer rows = larg_integer(L, 9, "rows", 0), columns = larg_integer(L, 10, "columns", 0);
  larray_check_writable(L, larray_check(L, 1, "to").array, "to");
  struct place to = check_place(L, 1, rows, columns), from = check_place(L, 5, rows, columns);
  if (to.view.type != from.view.type) return lerror_misuse(L, "arrays of one type expected");
  size_t width = braid_array_width(to.view.type);
  for (lua_Integer i = 0; i < rows; i++) {
    char *target = (char *)to.view.data + (size_t)(to.first + i * to.row_step) * width;
    const char *source = (const char *)from.view.data + (size_t)(from.first + i * from.row_step) * width;
    if (to.column_step == 1 && from.column_step == 1) {
      memmove(target, source, (size_t)columns * width);
      continue;
    }
    for (lua_Integer j = 0; j < columns; j++)
      memcpy(target + (size_t)(j * to.column_step) * width, source + (size_t)(j * from.column_step) * width, width);
  }
  return 0;
}

void lview_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"view_copy", view_copy}, {NULL, NULL}};
  sched_register(L, functions);
}
