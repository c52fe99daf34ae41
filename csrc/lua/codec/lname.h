/* SPDX-License-Identifier: MIT
 * Names that every state understands: those of loaded modules, and of the functions and classes that are fields of
 * modules. A name is the module's name and the fields' names, separated by zero bytes: "string\0format". The state's
 * own thread; nothing blocks. */
#ifndef BRAID_LNAME_H
#define BRAID_LNAME_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

/* Pushes the state's table of names: value -> name, address of a C function -> name. */
void lname_table(lua_State *L);

/* Updates the table at `index` if package.loaded has changed, or lname_outdate was called; returns whether it did. */
bool lname_update(lua_State *L, int index);

/* A module has more fields than before. */
void lname_outdate(lua_State *L);

/* Pushes the address of the C function at `index`, by which its name is also found. False, and pushes nothing, for
 * anything else, and for a function that has data of its own. */
bool lname_push_address(lua_State *L, int index);

/* Pushes the value with this name; requires its module. Raises kind "not_sendable" when it does not exist here. */
void lname_push(lua_State *L, const char *name, size_t size);

#endif
