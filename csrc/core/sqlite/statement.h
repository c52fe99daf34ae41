/* SPDX-License-Identifier: MIT
 * Statements of a connection: prepared ones are kept for the next time. The companion's thread; all may block. */
#ifndef BRAID_SQLITE_STATEMENT_H
#define BRAID_SQLITE_STATEMENT_H

#include <sqlite3.h>

#include "core/work/sqlite.h"

enum { BRAID_SQLITE_KEPT = 64 };

struct braid_sqlite {
  sqlite3 *db;
  sqlite3_stmt *kept[BRAID_SQLITE_KEPT]; /* the one that was used last is the first */
  int kept_count;
  int64_t patience;               /* ms to wait for a lock */
  struct braid_sqlite_call *call; /* that is under way */
};

/* Writes what has failed into the call. */
void braid_sqlite_fail(struct braid_sqlite_call *call, int code);

/* Takes a statement that was kept, or prepares one. NULL: the call has the error. */
sqlite3_stmt *braid_sqlite_take(struct braid_sqlite *connection, struct braid_sqlite_call *call);

/* Keeps it for the next time. */
void braid_sqlite_keep(struct braid_sqlite *connection, sqlite3_stmt *statement);

void braid_sqlite_drop_all(struct braid_sqlite *connection);

/* Binds the call's values. False: the call has the error. */
bool braid_sqlite_bind(sqlite3_stmt *statement, struct braid_sqlite_call *call);

/* Binds the list of values that begins at the byte *at of the call's values, and moves it behind the list. The same. */
bool braid_sqlite_bind_list(sqlite3_stmt *statement, struct braid_sqlite_call *call, size_t *at);

/* Whether only blanks and comments follow. */
bool braid_sqlite_is_blank(const char *text);

#endif
