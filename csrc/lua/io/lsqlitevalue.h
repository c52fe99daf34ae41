/* SPDX-License-Identifier: MIT
 * Lua values as those of SQLite, in the form of core/work/sqlite.h, and back. The state's own thread; nothing blocks.
 */
#ifndef BRAID_LSQLITEVALUE_H
#define BRAID_LSQLITEVALUE_H

#include <lua.h>

#include "core/work/sqlite.h"

/* The metatable of blobs: { bytes } */
#define LSQLITE_BLOB "braid.sqlite_blob"

struct lsqlite_reader {
  const char *at;
};

/* Pushes the next value. NULL is nil, or with `null` braid.null. */
void lsqlite_push_value(lua_State *L, struct lsqlite_reader *reader, bool null);

/* Adds the parameters from index `first` to `last` to the call, or those of the table at `first`, by their names. May
 * raise. */
void lsqlite_add_values(lua_State *L, struct braid_sqlite_call *call, int first, int last);

/* Adds lists of parameters: those from number `first` to `last` of the list at `index`. Each is a list (`n` may be its
 * length), or a table by names. May raise. */
void lsqlite_add_lists(lua_State *L, struct braid_sqlite_call *call, int index, lua_Integer first, lua_Integer last);

#endif
