/* SPDX-License-Identifier: MIT
 * Values of PostgreSQL, which travel as text, and Lua values. The state's own thread; nothing blocks. */
#ifndef BRAID_LPGTYPE_H
#define BRAID_LPGTYPE_H

#include <libpq-fe.h>
#include <lua.h>
#include <stdbool.h>

enum lpgtype_oid {
  LPG_BOOL = 16,
  LPG_BYTEA = 17,
  LPG_INT8 = 20,
  LPG_INT2 = 21,
  LPG_INT4 = 23,
  LPG_OID = 26,
  LPG_JSON = 114,
  LPG_FLOAT4 = 700,
  LPG_FLOAT8 = 701,
  LPG_JSONB = 3802
};

/* How a column becomes Lua values. */
struct lpgtype {
  Oid oid;
  int function; /* stack index of a Lua function that makes the value of a text; 0: there is none */
  Oid element;  /* of an array, without a function of its own; 0: it is none */
  int of_element;
};

/* The type of an array's elements; 0: it is no array that we know. */
Oid lpgtype_element(Oid array);

/* Pushes the value of a text, which ends with a zero byte. Raises if the text is not of the type. */
void lpgtype_push(lua_State *L, const struct lpgtype *type, const char *text, size_t size);

/* Makes the parameter at `index` a text for the server, in place; or leaves bytes, and sets `binary`. False for NULL.
 * `number` is its place, for errors. Raises for what has no text. `encode`: the stack index of a Lua function that
 * makes a text of a table: (table, type) -> text. */
bool lpgtype_parameter(lua_State *L, int index, Oid type, int number, int encode, bool *binary);

#endif
