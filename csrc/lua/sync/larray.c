/* SPDX-License-Identifier: MIT
 * Arrays, for Lua. Single elements are read and written with relaxed atomics, so a thread never sees half of a number.
 * Bulk operations copy bytes. */
#include "lua/sync/larray.h"

#include <errno.h>
#include <lauxlib.h>
#include <string.h>

#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/sched/lobject.h"
#include "lua/base/lopen.h"
#include "lua/sched/lsched.h"

static struct braid_array *to_array(struct braid_object *object) {
  return braid_container(object, struct braid_array, object);
}

static struct larray_view view_of(struct braid_array *array) {
  return (struct larray_view){array->type, array->data, array->length, array};
}

bool larray_test(lua_State *L, int index, struct larray_view *view) {
  struct braid_object *object = lobject_test(L, index, &braid_array_class);
  if (object) *view = view_of(to_array(object));
  return object != NULL;
}

struct larray_view larray_check(lua_State *L, int index, const char *name) {
  struct larray_view view;
  if (!larray_test(L, index, &view)) larg_error(L, index, name, "a braid.array");
  if (braid_array_is_torn(view.array)) larray_raise_torn(L);
  return view;
}

int larray_raise_torn(lua_State *L) {
  return lerror_raise(L, "system", "the file of a mapped array was truncated: its last elements are lost");
}

void larray_check_writable(lua_State *L, const struct braid_array *array, const char *name) {
  if (braid_array_is_fixed(array))
    lerror_misuse(L, "bad argument '%s' (an array that can be written expected; map the file with writable = true)",
                  name);
}

static struct braid_array *check(lua_State *L) { return to_array(lobject_check(L, 1, &braid_array_class)); }

static struct braid_array *check_writable(lua_State *L) {
  struct braid_array *array = check(L);
  larray_check_writable(L, array, "array");
  return array;
}

/* After elements were read or written. */
static inline void look_for_end(lua_State *L, const struct braid_array *array) {
  if (array->named && braid_array_is_torn(array)) larray_raise_torn(L);
}

/* ---- making arrays -------------------------------------------------------------------------------------------- */

/* Lua does not know how much memory an array has outside of Lua. So this makes the collector advance as if Lua had
 * allocated it. */
static void pay_collector(lua_State *L, size_t bytes) {
  enum { CHEAP = 1 << 16, STEP_MOST = 1 << 30 };
  if (bytes < CHEAP || !lua_gc(L, LUA_GCISRUNNING)) return;
  lua_gc(L, LUA_GCSTEP, (int)((bytes < STEP_MOST ? bytes : STEP_MOST) >> 10));
}

struct larray_view larray_new(lua_State *L, enum braid_array_type type, size_t length) {
  sched_check_fork(L);
  struct sched *sched = sched_open(L);
  pay_collector(L, length * braid_array_width(type));
  lobject_box(L, &braid_array_class);
  struct braid_array *array = braid_array_new(type, length);
  if (!array) { /* arrays that nobody uses any more may have the memory */
    lua_gc(L, LUA_GCCOLLECT);
    array = braid_array_new(type, length);
  }
  if (!array) lerror_no_room(L, errno, "an array of %I x %s", (LUAI_UACINT)length, braid_array_type_name(type));
  lobject_fill(L, &array->object);
  sched->outside += length * braid_array_width(type);
  return view_of(array);
}

enum braid_array_type larray_type(lua_State *L, int index) {
  const char *name = larg_string(L, index, "type", NULL);
  int type = 0;
  while (type < BRAID_ARRAY_TYPES && strcmp(name, braid_array_type_name((enum braid_array_type)type)) != 0) type++;
  if (type == BRAID_ARRAY_TYPES) larg_error(L, index, "type", "the name of a type of numbers");
  return (enum braid_array_type)type;
}

/* array_new(type, length) -> array of zeroes */
static int array_new(lua_State *L) {
  enum braid_array_type type = larray_type(L, 1);
  larray_new(L, type, (size_t)larg_integer(L, 2, "n", 0));
  return 1;
}

/* ---- elements ------------------------------------------------------------------------------------------------- */

#define READ(type, data, at) atomic_load_explicit((_Atomic(type) *)(data) + (at), memory_order_relaxed)
#define WRITE(type, data, at, value)                                                                                   \
  atomic_store_explicit((_Atomic(type) *)(data) + (at), (type)(value), memory_order_relaxed)

static void push_element(lua_State *L, const struct braid_array *array, size_t at) {
  void *data = array->data;
  switch (array->type) {
    case BRAID_F64: lua_pushnumber(L, READ(double, data, at)); return;
    case BRAID_F32: lua_pushnumber(L, (lua_Number)READ(float, data, at)); return;
    case BRAID_I64: lua_pushinteger(L, READ(int64_t, data, at)); return;
    case BRAID_I32: lua_pushinteger(L, READ(int32_t, data, at)); return;
    case BRAID_I16: lua_pushinteger(L, READ(int16_t, data, at)); return;
    case BRAID_I8: lua_pushinteger(L, READ(int8_t, data, at)); return;
    case BRAID_U64: lua_pushinteger(L, (lua_Integer)READ(uint64_t, data, at)); return;
    case BRAID_U32: lua_pushinteger(L, READ(uint32_t, data, at)); return;
    case BRAID_U16: lua_pushinteger(L, READ(uint16_t, data, at)); return;
    default: lua_pushinteger(L, READ(uint8_t, data, at));
  }
}

static bool is_float(enum braid_array_type type) { return type == BRAID_F64 || type == BRAID_F32; }

/* The range of each integer type. u64 takes any Lua integer; numbers from 2^63 on are negative integers in Lua. */
static const struct {
  lua_Integer least, most;
} ranges[BRAID_ARRAY_TYPES] = {
    [BRAID_I64] = {INT64_MIN, INT64_MAX}, [BRAID_I32] = {INT32_MIN, INT32_MAX}, [BRAID_I16] = {INT16_MIN, INT16_MAX},
    [BRAID_I8] = {INT8_MIN, INT8_MAX},    [BRAID_U64] = {INT64_MIN, INT64_MAX}, [BRAID_U32] = {0, UINT32_MAX},
    [BRAID_U16] = {0, UINT16_MAX},        [BRAID_U8] = {0, UINT8_MAX},
};

static void write_integer(enum braid_array_type type, void *data, size_t at, lua_Integer value) {
  switch (braid_array_width(type)) {
    case 8: WRITE(int64_t, data, at, value); return;
    case 4: WRITE(uint32_t, data, at, value); return;
    case 2: WRITE(uint16_t, data, at, value); return;
    default: WRITE(uint8_t, data, at, value);
  }
}

/* Converts the value at `index` to an integer of this type; false when it does not fit. */
static bool to_integer(lua_State *L, int index, enum braid_array_type type, lua_Integer *value) {
  int whole;
  if (type == BRAID_U64 && !lua_isinteger(L, index)) {
    lua_Number number = lua_tonumber(L, index);
    if (!(number >= 0 && number < 0x1p64 && number == (lua_Number)(uint64_t)number)) return false;
    *value = (lua_Integer)(uint64_t)number;
    return true;
  }
  *value = lua_tointegerx(L, index, &whole);
  return whole && *value >= ranges[type].least && *value <= ranges[type].most;
}

/* Writes the value at `index`; false when the type cannot hold it. */
static bool write_element(lua_State *L, int index, enum braid_array_type type, void *data, size_t at) {
  lua_Integer value;
  if (lua_type(L, index) != LUA_TNUMBER) return false;
  if (type == BRAID_F64) {
    WRITE(double, data, at, lua_tonumber(L, index));
  } else if (type == BRAID_F32) {
    WRITE(float, data, at, lua_tonumber(L, index));
  } else {
    if (!to_integer(L, index, type, &value)) return false;
    write_integer(type, data, at, value);
  }
  return true;
}

/* Raises. The value at `index` is not valid for the element `number` of such an array (0: for all elements). */
static int refuse_value(lua_State *L, int index, enum braid_array_type type, lua_Integer number) {
  const char *got = larg_describe(L, index);
  const char *expected = is_float(type) ? "a number"
                         : type == BRAID_U64
                             ? "an integer, or a whole number from 0 to 2^64 - 1"
                             : lua_pushfstring(L, "an integer from %I to %I", (LUAI_UACINT)ranges[type].least,
                                               (LUAI_UACINT)ranges[type].most);
  const char *place = number ? lua_pushfstring(L, "element %I of ", (LUAI_UACINT)number) : "";
  return lerror_misuse(L, "bad value for %san array of %s (%s expected, got %s)", place, braid_array_type_name(type),
                       expected, got);
}

/* ---- a[i] ----------------------------------------------------------------------------------------------------- */

/* Returns the array at 1. Upvalue 1 is the metatable; comparing it is cheaper than to find it in the registry. */
static struct braid_array *self(lua_State *L) {
  struct braid_object *object = NULL;
  if (lua_type(L, 1) == LUA_TUSERDATA && lua_getmetatable(L, 1)) {
    if (lua_rawequal(L, -1, lua_upvalueindex(1))) object = lobject_at(L, 1);
    lua_pop(L, 1);
  }
  return to_array(object ? object : lobject_check(L, 1, &braid_array_class));
}

/* Returns the position of the element whose number is at 2; raises when there is none. */
static size_t check_place(lua_State *L, const struct braid_array *array) {
  int whole;
  lua_Integer number = lua_tointegerx(L, 2, &whole);
  if (whole && lua_type(L, 2) == LUA_TNUMBER) {
    if ((lua_Unsigned)number - 1 < array->length) return (size_t)number - 1;
    lerror_misuse(L, "there is no element %I in an array of %I", (LUAI_UACINT)number, (LUAI_UACINT)array->length);
  }
  lerror_misuse(L, "the elements of an array have the numbers 1 to %I: there is none for %s",
                (LUAI_UACINT)array->length, lerror_text(L, 2));
  return 0;
}

static int array_index(lua_State *L) {
  struct braid_array *array = self(L);
  if (lua_type(L, 2) == LUA_TSTRING) {
    if (strcmp(lua_tostring(L, 2), "shape") == 0) {
      lua_createtable(L, 1, 0);
      lua_pushinteger(L, (lua_Integer)array->length);
      lua_rawseti(L, -2, 1);
      return 1;
    }
    lua_pushvalue(L, 2);
    lua_gettable(L, lua_upvalueindex(1)); /* a method; lmethods.c may have to load it */
    return 1;
  }
  push_element(L, array, check_place(L, array));
  look_for_end(L, array);
  return 1;
}

static int array_newindex(lua_State *L) {
  struct braid_array *array = self(L);
  size_t at = check_place(L, array);
  if (array->named) larray_check_writable(L, array, "array");
  if (!write_element(L, 3, array->type, array->data, at)) refuse_value(L, 3, array->type, (lua_Integer)at + 1);
  look_for_end(L, array);
  return 0;
}

static int array_len(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)self(L)->length);
  return 1;
}

/* ---- bulk operations ------------------------------------------------------------------------------------------ */

static char *address(const struct braid_array *array, size_t at) {
  return (char *)array->data + at * braid_array_width(array->type);
}

/* array:fill(value) -> the array */
static int array_fill(lua_State *L) {
  struct braid_array *array = check_writable(L);
  size_t width = braid_array_width(array->type), size = array->length * width;
  _Alignas(8) char element[8];
  if (!write_element(L, 2, array->type, element, 0)) refuse_value(L, 2, array->type, 0);
  lua_settop(L, 1);
  if (size == 0) return 1;
  memcpy(array->data, element, width);
  for (size_t done = width; done < size; done *= 2)
    memcpy((char *)array->data + done, array->data, done < size - done ? done : size - done);
  look_for_end(L, array);
  return 1;
}

/* array:slice(first, last?) -> an array on the same memory */
static int array_slice(lua_State *L) {
  struct braid_array *array = check(L);
  lua_Integer length = (lua_Integer)array->length;
  lua_Integer first = larg_integer(L, 2, "first", 1);
  lua_Integer last = lua_isnoneornil(L, 3) ? length : larg_integer(L, 3, "last", 0);
  if (last > length || first - 1 > last)
    return lerror_misuse(L, "there are no elements %I to %I in an array of %I", (LUAI_UACINT)first, (LUAI_UACINT)last,
                         (LUAI_UACINT)length);
  lobject_box(L, &braid_array_class);
  struct braid_array *slice = braid_array_slice(array, (size_t)first - 1, (size_t)(last - first + 1));
  lobject_fill(L, slice ? &slice->object : NULL);
  return 1;
}

/* array:copy() -> an array with new memory */
static int array_copy(lua_State *L) {
  struct braid_array *array = check(L);
  struct larray_view copy = larray_new(L, array->type, array->length);
  memcpy(copy.data, array->data, array->length * braid_array_width(array->type));
  look_for_end(L, array);
  return 1;
}

/* Calls make(array), which makes a value in Lua's memory. When memory is out, the error names `what` and the array. */
static int copy_to_lua(lua_State *L, lua_CFunction make, const char *what) {
  struct braid_array *array = check(L);
  lua_settop(L, 1);
  lua_pushcfunction(L, make);
  lua_pushlightuserdata(L, array);
  int status = lua_pcall(L, 1, 1, 0);
  if (status == LUA_ERRMEM)
    return lerror_no_room(L, ENOMEM, "%s of an array of %I x %s", what, (LUAI_UACINT)array->length,
                          braid_array_type_name(array->type));
  if (status != LUA_OK) return lua_error(L);
  look_for_end(L, array);
  return 1;
}

static int make_table(lua_State *L) {
  const struct braid_array *array = lua_touserdata(L, 1);
  lua_createtable(L, array->length < INT32_MAX ? (int)array->length : INT32_MAX, 0); /* too large: then it raises */
  for (size_t i = 0; i < array->length; i++) {
    push_element(L, array, i);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* array:totable() -> list */
static int array_totable(lua_State *L) { return copy_to_lua(L, make_table, "the list"); }

static int make_string(lua_State *L) {
  const struct braid_array *array = lua_touserdata(L, 1);
  lua_pushlstring(L, array->data, array->length * braid_array_width(array->type));
  return 1;
}

/* array:tostring() -> its bytes, in the machine's format */
static int array_tostring(lua_State *L) { return copy_to_lua(L, make_string, "the string"); }

static int array_type(lua_State *L) {
  lua_pushstring(L, braid_array_type_name(check(L)->type));
  return 1;
}

/* Returns how many elements the value at 2 has for `array`. Raises when it has no elements. */
static size_t count_elements(lua_State *L, const struct braid_array *array, struct larray_view *source) {
  size_t bytes, width = braid_array_width(array->type);
  if (lua_type(L, 2) == LUA_TSTRING) {
    lua_tolstring(L, 2, &bytes);
    if (bytes % width == 0) return bytes / width;
    lerror_misuse(L, "%I bytes are no whole number of elements of %s, which have %I bytes", (LUAI_UACINT)bytes,
                  braid_array_type_name(array->type), (LUAI_UACINT)width);
  }
  if (lua_type(L, 2) == LUA_TTABLE) {
    if (!luaL_getmetafield(L, 2, "__len")) return larg_list(L, 2, "source", "a list");
    lua_pop(L, 1);
    return (size_t)luaL_len(L, 2);
  }
  if (!larray_test(L, 2, source)) larg_error(L, 2, "source", "a list, an array or a string of bytes");
  return source->length;
}

/* Pushes an element for an array of another type. A number that is too large for a Lua integer becomes a float. False:
 * the number is negative, and the other type is u64. */
static bool push_foreign(lua_State *L, const struct braid_array *from, size_t at, enum braid_array_type type) {
  push_element(L, from, at);
  if (!lua_isinteger(L, -1) || lua_tointeger(L, -1) >= 0) return true;
  if (from->type != BRAID_U64) return type != BRAID_U64;
  lua_pushnumber(L, (lua_Number)(uint64_t)lua_tointeger(L, -1));
  lua_replace(L, -2);
  return true;
}

static void set_each(lua_State *L, struct braid_array *array, size_t at, size_t count, const struct braid_array *from) {
  for (size_t i = 0; i < count; i++) {
    bool fits = true;
    if (from)
      fits = push_foreign(L, from, i, array->type);
    else
      lua_geti(L, 2, (lua_Integer)i + 1);
    if (!fits || !write_element(L, -1, array->type, array->data, at + i))
      refuse_value(L, -1, array->type, (lua_Integer)(at + i) + 1);
    lua_pop(L, 1);
  }
}

/* array:set(source, at?) -> the array. If a value does not fit, the elements before it are already set. */
static int array_set(lua_State *L) {
  struct braid_array *array = check_writable(L);
  struct larray_view source = {.array = NULL};
  lua_Integer at = lua_isnoneornil(L, 3) ? 1 : larg_integer(L, 3, "at", 1);
  size_t count = count_elements(L, array, &source);
  if ((lua_Unsigned)at - 1 > array->length || count > array->length - ((size_t)at - 1))
    return lerror_misuse(L, "%I elements from number %I on have no room in an array of %I", (LUAI_UACINT)count,
                         (LUAI_UACINT)at, (LUAI_UACINT)array->length);
  char *place = address(array, (size_t)at - 1);
  if (lua_type(L, 2) == LUA_TSTRING)
    memcpy(place, lua_tostring(L, 2), count * braid_array_width(array->type));
  else if (source.array && source.type == array->type)
    memmove(place, source.data, count * braid_array_width(array->type));
  else
    set_each(L, array, (size_t)at - 1, count, source.array);
  look_for_end(L, array);
  if (source.array) look_for_end(L, source.array);
  lua_settop(L, 1);
  return 1;
}

/* ---- iteration and text --------------------------------------------------------------------------------------- */

static int next_element(lua_State *L) {
  struct braid_array *array = check(L);
  lua_Integer number = luaL_checkinteger(L, 2);
  if ((lua_Unsigned)number >= array->length) return 0;
  lua_pushinteger(L, number + 1);
  push_element(L, array, (size_t)number);
  look_for_end(L, array);
  return 2;
}

static int array_pairs(lua_State *L) {
  check(L);
  lua_pushcfunction(L, next_element);
  lua_pushvalue(L, 1);
  lua_pushinteger(L, 0);
  return 3;
}

/* "braid.array: 5 x i32 {1, 2, 3, ...}" */
static int array_text(lua_State *L) {
  enum { SHOWN = 8 };
  struct braid_array *array = check(L);
  luaL_Buffer text;
  luaL_buffinit(L, &text);
  lua_pushfstring(L, "braid.array: %I x %s {", (LUAI_UACINT)array->length, braid_array_type_name(array->type));
  luaL_addvalue(&text);
  for (size_t i = 0; i < array->length && i < SHOWN; i++) {
    push_element(L, array, i);
    luaL_tolstring(L, -1, NULL);
    lua_remove(L, -2);
    luaL_addvalue(&text);
    if (i + 1 < array->length) luaL_addstring(&text, ", ");
  }
  luaL_addstring(&text, array->length > SHOWN ? "...}" : "}");
  luaL_pushresult(&text);
  return 1;
}

/* --------------------------------------------------------------------------------------------------------------- */

static const luaL_Reg methods[] = {
    {"fill", array_fill}, {"slice", array_slice},     {"copy", array_copy},
    {"set", array_set},   {"totable", array_totable}, {"tostring", array_tostring},
    {"type", array_type}, {"__pairs", array_pairs},   {"__tostring", array_text},
    {NULL, NULL},
};

static const luaL_Reg elements[] = {
    {"__index", array_index}, {"__newindex", array_newindex}, {"__len", array_len}, {NULL, NULL}};

static const luaL_Reg functions[] = {{"array_new", array_new}, {NULL, NULL}};

void larray_open(lua_State *L) {
  sched_register(L, functions);
  lobject_class(L, &braid_array_class, methods);
  lua_pushvalue(L, -1);
  luaL_setfuncs(L, elements, 1);
  lua_setfield(L, -2, "Array");
}
