/* SPDX-License-Identifier: MIT
 * Checks of the arguments of C functions. Each raises kind "misuse" at the caller's line, and names the argument and
 * what was expected. The state's own thread; nothing blocks. */
#ifndef BRAID_LARG_H
#define BRAID_LARG_H

#include <lua.h>
#include <stdint.h>

/* Reads the timeout in seconds at `index` and returns a deadline. nil: BRAID_NEVER. 0: LARG_ONCE, which means that the
 * call tries once and does not wait. */
#define LARG_ONCE INT64_C(0)
int64_t larg_timeout(lua_State *L, int index);

lua_Integer larg_integer(lua_State *L, int index, const char *name, lua_Integer least);
/* For values that C keeps in a type smaller than lua_Integer. */
lua_Integer larg_between(lua_State *L, int index, const char *name, lua_Integer least, lua_Integer most);
lua_Number larg_number(lua_State *L, int index, const char *name);
const char *larg_string(lua_State *L, int index, const char *name, size_t *size);
void larg_function(lua_State *L, int index, const char *name);
/* Returns the number of elements of the list at `index`. Raises if the table has keys that are no integers. */
size_t larg_list(lua_State *L, int index, const char *name, const char *expected);
/* Marks the metatable on the top of the stack as one of braid's, with this name. The checks below compare the address
 * of the name, so the string must stay valid. The look-up by name of luaL_testudata takes twice as long. */
void larg_mark(lua_State *L, const char *name);
/* Returns the address of a userdata whose metatable has this name; NULL for any other value. */
void *larg_test(lua_State *L, int index, const char *name);
/* The same, but raises for any other value. */
void *larg_object(lua_State *L, int index, const char *metatable);
/* Raises: the value at `index` does not have that metatable. Never returns. */
int larg_refuse(lua_State *L, int index, const char *metatable);

/* Describes a value for an error message: "3.5" for a number, "a string" and so on. Pushes some values. */
const char *larg_describe(lua_State *L, int index);

/* Raises: a method of this class was called on another value, most likely with a dot. Never returns. */
int larg_self(lua_State *L, const char *class);

/* Raises: argument `name` should have been `expected`. Never returns. */
int larg_error(lua_State *L, int index, const char *name, const char *expected);

#endif
