/* SPDX-License-Identifier: MIT
 * Checks of the arrays that are passed to kernels. */
#include "lua/kernels/lrow.h"

#include "lua/base/larg.h"
#include "lua/sync/larray.h"
#include "lua/base/lerror.h"

struct braid_row lrow_check(lua_State *L, int index, const char *name) {
  struct larray_view view = larray_check(L, index, name);
  return (struct braid_row){view.type, view.data, view.length};
}

struct braid_row lrow_check_type(lua_State *L, int index, const char *name, enum braid_array_type type) {
  struct braid_row row = lrow_check(L, index, name);
  if (row.type != type)
    lerror_misuse(L, "bad argument '%s' (an array of %s expected, got one of %s)", name, braid_array_type_name(type),
                  braid_array_type_name(row.type));
  return row;
}

static void check_writable(lua_State *L, int index, const char *name) {
  larray_check_writable(L, larray_check(L, index, name).array, name);
}

struct braid_row lrow_check_out(lua_State *L, int index, const char *name) {
  check_writable(L, index, name);
  return lrow_check(L, index, name);
}

struct braid_row lrow_check_out_type(lua_State *L, int index, const char *name, enum braid_array_type type) {
  check_writable(L, index, name);
  return lrow_check_type(L, index, name, type);
}

void lrow_check_count(lua_State *L, const struct braid_row *row, const char *name, size_t count) {
  if (row->count == count) return;
  lerror_misuse(L, "bad argument '%s' (%I elements expected, got %I)", name, (LUAI_UACINT)count,
                (LUAI_UACINT)row->count);
}

void lrow_check_apart(lua_State *L, const struct braid_row *result, const char *name, const struct braid_row *from,
                      bool same) {
  uintptr_t a = (uintptr_t)result->data, b = (uintptr_t)from->data;
  uintptr_t a_end = a + result->count * braid_array_width(result->type);
  uintptr_t b_end = b + from->count * braid_array_width(from->type);
  if (a == a_end || b == b_end || a_end <= b || b_end <= a) return;
  if (same && a == b && result->type == from->type && result->count == from->count) return;
  lerror_misuse(L, "bad argument '%s' (it shares elements with what it would be computed from)", name);
}

void lrow_check_status(lua_State *L, enum braid_status status) {
  if (status == BRAID_NO_MEMORY) lerror_memory(L);
}
