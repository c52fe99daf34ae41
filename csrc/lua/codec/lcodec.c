/* SPDX-License-Identifier: MIT
 * The codec's functions for Lua. A parcel is a userdata that holds a message. */
#include "lua/codec/lcodec.h"

#include <lauxlib.h>

#include "lua/base/larg.h"
#include "lua/codec/lcode.h"
#include "lua/codec/lencbuf.h"
#include "lua/codec/ltext.h"
#include "lua/base/lerror.h"
#include "lua/base/lopen.h"
#include "lua/sched/lsched.h"

struct parcel {
  struct braid_message *message; /* NULL: not made yet, or dropped */
};

static int parcel_gc(lua_State *L) {
  struct parcel *parcel = lua_touserdata(L, 1);
  if (parcel->message) braid_message_unref(parcel->message);
  parcel->message = NULL;
  return 0;
}

static struct parcel *check(lua_State *L) {
  struct parcel *parcel = larg_object(L, 1, "braid.parcel");
  if (!parcel->message) larg_error(L, 1, "parcel", "one that is not empty");
  return parcel;
}

/* #parcel -> number of bytes */
static int parcel_len(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check(L)->message->size);
  return 1;
}

/* encode(...) -> parcel */
static int encode(lua_State *L) {
  int count = lua_gettop(L);
  struct parcel *parcel = lua_newuserdatauv(L, sizeof *parcel, 0);
  parcel->message = NULL;
  luaL_setmetatable(L, "braid.parcel");
  parcel->message = lcodec_encode(L, 1, count, "argument");
  return 1;
}

/* decode(parcel) -> values; may be called several times */
static int decode(lua_State *L) { return lcodec_decode(L, check(L)->message); }

/* set_transfer_limits(bytes, values): limits for each message of this state; for tests. */
static int set_transfer_limits(lua_State *L) {
  lua_Integer bytes = larg_integer(L, 1, "bytes", 1), values = larg_integer(L, 2, "values", 1);
  encbuf_limit(L, (size_t)bytes, (size_t)values);
  return 0;
}

static const luaL_Reg methods[] = {{"__gc", parcel_gc}, {"__len", parcel_len}, {NULL, NULL}};

static const luaL_Reg functions[] = {
    {"encode", encode}, {"decode", decode}, {"set_transfer_limits", set_transfer_limits}, {NULL, NULL}};

void lcodec_open(lua_State *L) {
  sched_register(L, functions);
  lcode_open(L);
  ltext_open(L);
  sched_class(L, "braid.parcel", methods);
  lua_pop(L, 1);
}
