/* SPDX-License-Identifier: MIT
 * A C function with upvalues is left out: they belong to its state. */
#include "lua/pool/lloaders.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

/* The loader's key and value are on the top of the stack. */
static lua_CFunction shareable(lua_State *L) {
  if (lua_type(L, -2) != LUA_TSTRING || !lua_iscfunction(L, -1)) return NULL;
  if (!lua_getupvalue(L, -1, 1)) return lua_tocfunction(L, -1);
  lua_pop(L, 1);
  return NULL;
}

static size_t count(lua_State *L) {
  size_t found = 0;
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
    if (shareable(L)) found++;
  return found;
}

void loaders_collect(lua_State *L, struct loaders *loaders) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  size_t room = count(L);
  loaders->list = room ? calloc(room, sizeof *loaders->list) : NULL;
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    lua_CFunction function = loaders->list ? shareable(L) : NULL;
    char *module = function ? strdup(lua_tostring(L, -2)) : NULL;
    if (module) loaders->list[loaders->count++] = (struct loader){function, module};
  }
  lua_pop(L, 1);
}

void loaders_set(lua_State *L, const struct loaders *loaders) {
  for (size_t i = 0; i < loaders->count; i++) {
    lua_pushcfunction(L, loaders->list[i].function);
    lua_setfield(L, -2, loaders->list[i].module);
  }
}

void loaders_term(struct loaders *loaders) {
  for (size_t i = 0; i < loaders->count; i++) free(loaders->list[i].module);
  free(loaders->list);
}
