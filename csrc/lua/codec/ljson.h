/* SPDX-License-Identifier: MIT
 * Converts between JSON text and Lua values, without an intermediate tree. Neither direction recurses on the C stack:
 * the depth costs Lua memory, and has a limit. The state's own thread; nothing blocks. */
#ifndef BRAID_LJSON_H
#define BRAID_LJSON_H

#include <lua.h>

enum { LJSON_DEPTH = 1000, LJSON_MOST_DEPTH = 10000 };

/* json_encode(value, max_depth?, pretty?, sort_keys?, replace?) -> text. Raises kind "json", with `path`, if JSON
 * cannot express a value. `replace`: invalid UTF-8 becomes U+FFFD. */
int ljson_encode(lua_State *L);

/* json_decode(text, max_depth?, refuse_big?, replace?) -> value. Raises kind "json", with `line`, `column` and
 * `offset`, if the text is not JSON. `refuse_big`: raise on integers beyond 64 bits, instead of making floats. */
int ljson_decode(lua_State *L);

/* Reads the option at `index`: how deep lists and objects may be nested. */
int ljson_depth(lua_State *L, int index);

#endif
