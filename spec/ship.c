/* SPDX-License-Identifier: MIT
 * A second Lua state in the same process and thread, for tests of what travels between states: the module "ship".
 *
 *   local state = ship.state()          a state with its libraries and this one's paths; state:close(), or collected
 *   state:run(code, parcel) -> parcel   runs Lua code there, with the parcel's values as `...`; its results come back
 *                                       in a parcel, an error as its text
 *   state:memory() -> bytes             that it uses, after a full collection
 *   ship.bytes(parcel) -> string
 *   ship.damage(parcel, place, byte)    writes a byte into the message, counted from 0
 *   ship.cut(parcel, size)              makes the message end there
 *
 * A parcel is braid.core.encode's, and is empty afterwards: what it held is in the other state. */
#include <lauxlib.h>
#include <lualib.h>

#include "core/sync/message.h"

struct ship {
  lua_State *L;
};

static int ship_close(lua_State *L) {
  struct ship *ship = luaL_checkudata(L, 1, "ship");
  if (ship->L) lua_close(ship->L);
  ship->L = NULL;
  return 0;
}

static lua_State *check(lua_State *L) {
  struct ship *ship = luaL_checkudata(L, 1, "ship");
  luaL_argcheck(L, ship->L != NULL, 1, "closed");
  return ship->L;
}

/* Paths, and braid.core where it is linked into the host. On the other state: the names and what they are. */
static int furnish(lua_State *to) {
  luaL_openlibs(to);
  lua_getglobal(to, "package");
  lua_pushvalue(to, 1);
  lua_setfield(to, -2, "path");
  lua_pushvalue(to, 2);
  lua_setfield(to, -2, "cpath");
  if (lua_isnil(to, 3)) return 0;
  lua_getfield(to, -1, "preload");
  lua_pushvalue(to, 3);
  lua_setfield(to, -2, "braid.core");
  return 0;
}

static int ship_state(lua_State *L) {
  struct ship *ship = lua_newuserdatauv(L, sizeof *ship, 0);
  ship->L = NULL;
  luaL_setmetatable(L, "ship");
  ship->L = luaL_newstate();
  if (!ship->L) return luaL_error(L, "no memory for a state");
  lua_State *to = ship->L;
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "path");
  lua_getfield(L, -2, "cpath");
  lua_getfield(L, -3, "preload");
  lua_getfield(L, -1, "braid.core");
  lua_pushcfunction(to, furnish);
  lua_pushstring(to, lua_tostring(L, -4));
  lua_pushstring(to, lua_tostring(L, -3));
  if (lua_iscfunction(L, -1))
    lua_pushcfunction(to, lua_tocfunction(L, -1));
  else
    lua_pushnil(to);
  if (lua_pcall(to, 3, 0, 0) != LUA_OK) return luaL_error(L, "%s", lua_tostring(to, -1));
  lua_pop(L, 5);
  lua_pushvalue(L, -1);
  return 1;
}

/* Pushes onto `to` a parcel with what was in the one at `index` of `from`: both are one pointer. */
static void move_parcel(lua_State *from, int index, lua_State *to) {
  void **parcel = luaL_checkudata(from, index, "braid.parcel");
  void **moved = lua_newuserdatauv(to, sizeof *moved, 0);
  *moved = *parcel;
  *parcel = NULL;
  luaL_setmetatable(to, "braid.parcel");
}

static const char RUN[] = "local core = require 'braid.core'\n"
                          "require 'braid.errors'\n"
                          "local code, parcel = ...\n"
                          "return core.encode(assert(load(code, '=ship'))(core.decode(parcel)))";

static int with_text(lua_State *to) {
  luaL_traceback(to, to, luaL_tolstring(to, 1, NULL), 1);
  return 1;
}

static int ship_run(lua_State *L) {
  lua_State *to = check(L);
  const char *code = luaL_checkstring(L, 2);
  lua_settop(to, 0);
  lua_pushcfunction(to, with_text);
  lua_getglobal(to, "require");
  lua_pushliteral(to, "braid.core"); /* registers parcels */
  int status = lua_pcall(to, 1, 0, 1);
  if (status == LUA_OK) status = luaL_loadstring(to, RUN);
  if (status == LUA_OK) {
    lua_pushstring(to, code);
    move_parcel(L, 3, to);
    status = lua_pcall(to, 2, 1, 1);
  }
  if (status != LUA_OK) return luaL_error(L, "%s", lua_tostring(to, -1));
  move_parcel(to, -1, L);
  lua_settop(to, 0);
  return 1;
}

static int ship_memory(lua_State *L) {
  lua_State *to = check(L);
  lua_gc(to, LUA_GCCOLLECT);
  lua_gc(to, LUA_GCCOLLECT);
  lua_pushinteger(L, (lua_Integer)lua_gc(to, LUA_GCCOUNT) * 1024 + lua_gc(to, LUA_GCCOUNTB));
  return 1;
}

static struct braid_message *message_of(lua_State *L) {
  return *(struct braid_message **)luaL_checkudata(L, 1, "braid.parcel");
}

static int ship_bytes(lua_State *L) {
  const struct braid_message *message = message_of(L);
  lua_pushlstring(L, message->bytes, message->size);
  return 1;
}

static int ship_damage(lua_State *L) {
  struct braid_message *message = message_of(L);
  lua_Integer place = luaL_checkinteger(L, 2);
  luaL_argcheck(L, place >= 0 && (size_t)place < message->size, 2, "outside the message");
  message->bytes[place] = (char)luaL_checkinteger(L, 3);
  return 0;
}

static int ship_cut(lua_State *L) {
  struct braid_message *message = message_of(L);
  size_t size = (size_t)luaL_checkinteger(L, 2);
  if (size < message->size) message->size = size;
  return 0;
}

static const luaL_Reg methods[] = {{"run", ship_run},       {"memory", ship_memory}, {"close", ship_close},
                                   {"__close", ship_close}, {"__gc", ship_close},    {NULL, NULL}};

static const luaL_Reg functions[] = {
    {"state", ship_state}, {"bytes", ship_bytes}, {"damage", ship_damage}, {"cut", ship_cut}, {NULL, NULL}};

int luaopen_ship(lua_State *L);

int luaopen_ship(lua_State *L) {
  luaL_newmetatable(L, "ship");
  luaL_setfuncs(L, methods, 0);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  luaL_newlib(L, functions);
  return 1;
}
