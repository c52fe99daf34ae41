/* SPDX-License-Identifier: MIT
 * Results of PostgreSQL as Lua values. The state's own thread; nothing blocks. */
#ifndef BRAID_LPGRESULT_H
#define BRAID_LPGRESULT_H

#include <libpq-fe.h>
#include <lua.h>

#include "lua/postgres/lpgtype.h"

/* What is made of a result. */
enum lpgshape {
  LPG_ROWS,          /* a result: a list of rows, which are tables by the names of the columns */
  LPG_LISTS,         /* the same, but rows are lists; NULL is braid.null there */
  LPG_FIRST,         /* the first row, or nil */
  LPG_VALUE,         /* the first value of the first row, or nil */
  LPG_SHAPE = 3,     /* the mask of these */
  LPG_KEEP_NULLS = 4 /* NULL is braid.null in rows, too */
};

/* What a connection knows of the columns of one statement: stack indices. */
struct lpgcolumns {
  int names; /* the list of names, or nil: it is replaced by one then */
  int types; /* nil, or a table: type -> function that makes the value of a text */
  int json;  /* the function for JSON */
  int first; /* the first name; the others follow */
  int count;
  struct lpgtype *all; /* a userdata of the stack */
};

/* Pushes the types and names of the columns. */
void lpgresult_columns(lua_State *L, const PGresult *result, struct lpgcolumns *columns);

/* Pushes a row of the result. */
void lpgresult_row(lua_State *L, const PGresult *result, const struct lpgcolumns *columns, int row, int shape);

/* Pushes what `shape` says. The columns were not pushed before. */
void lpgresult_push(lua_State *L, const PGresult *result, struct lpgcolumns *columns, int shape);

#endif
