/* SPDX-License-Identifier: MIT
 * What has a name that every state understands: a loaded module, and the functions and classes that are fields of
 * one. A name is the module's, then the fields', with a zero byte before each: "string\0format". The state's own
 * thread; nothing blocks. */
#ifndef BRAID_LNAME_H
#define BRAID_LNAME_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

/* Pushes the state's table of names: value -> name. */
void lname_table(lua_State *L);

/* Brings the table at `index` up to date when modules have come or gone since; true when they have. */
bool lname_update(lua_State *L, int index);

/* Pushes what has this name here; its module is required. Raises kind "not_sendable" when it is not there. */
void lname_push(lua_State *L, const char *name, size_t size);

#endif
