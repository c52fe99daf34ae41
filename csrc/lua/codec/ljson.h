/* SPDX-License-Identifier: MIT
 * JSON between text and Lua values, without a tree in between. Both ways go down without recursion: depth costs memory
 * of Lua's, and is bounded. The state's own thread; nothing blocks. */
#ifndef BRAID_LJSON_H
#define BRAID_LJSON_H

#include <lua.h>

enum { LJSON_DEPTH = 1000, LJSON_MOST_DEPTH = 10000 };

/* json_encode(value, max_depth?, pretty?, sort_keys?, replace?) -> text; kind "json", with `path`, for what JSON cannot
 * say. replace: what is not UTF-8 becomes U+FFFD. */
int ljson_encode(lua_State *L);

/* json_decode(text, max_depth?, refuse_big?, replace?) -> value; kind "json", with `line`, `column` and `offset`, for
 * what is not JSON. refuse_big: integers beyond 64 bits do not become floats. */
int ljson_decode(lua_State *L);

/* The option at `index`: how deep lists and objects may be in each other. */
int ljson_depth(lua_State *L, int index);

#endif
