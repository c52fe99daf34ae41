/* SPDX-License-Identifier: MIT
 * Arguments of C functions: each check raises kind "misuse" at the caller's line, naming the argument and what was
 * expected. The state's own thread; none blocks. */
#ifndef BRAID_LARG_H
#define BRAID_LARG_H

#include <lua.h>
#include <stdint.h>

/* Deadlines as functions receive them: a timeout in seconds at `index`. nil: BRAID_NEVER; 0: LARG_ONCE, the call
 * tries once and does not wait. */
#define LARG_ONCE INT64_C(0)
int64_t larg_timeout(lua_State *L, int index);

lua_Integer larg_integer(lua_State *L, int index, const char *name, lua_Integer least);
/* For what C keeps in less than a lua_Integer. */
lua_Integer larg_between(lua_State *L, int index, const char *name, lua_Integer least, lua_Integer most);
lua_Number larg_number(lua_State *L, int index, const char *name);
const char *larg_string(lua_State *L, int index, const char *name, size_t *size);
void larg_function(lua_State *L, int index, const char *name);
/* How many elements the list at `index` has; one whose table has names, which are none, is refused as well. */
size_t larg_list(lua_State *L, int index, const char *name, const char *expected);
/* The metatable on the top of the stack is this one of ours, whose name must stay. The checks below know it by that: a
 * look into the registry by name, as luaL_testudata's, takes twice as long. */
void larg_mark(lua_State *L, const char *name);
/* The address of a userdata with this metatable of ours; NULL: it is something else. */
void *larg_test(lua_State *L, int index, const char *name);
/* The same; raises when it is something else. */
void *larg_object(lua_State *L, int index, const char *metatable);
/* Raises: the value at `index` is none with that metatable. Never returns. */
int larg_refuse(lua_State *L, int index, const char *metatable);

/* "3.5" for numbers, "a string" and the like for the rest. Pushes some values. */
const char *larg_describe(lua_State *L, int index);

/* Raises: a method of this class was called on something else, most likely with a dot. Never returns. */
int larg_self(lua_State *L, const char *class);

/* Raises: argument `name` should have been `expected`. Never returns. */
int larg_error(lua_State *L, int index, const char *name, const char *expected);

#endif
