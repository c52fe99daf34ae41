/* SPDX-License-Identifier: MIT */
#include "core/sqlite/engine.h"

#include <stdlib.h>
#include <string.h>

#include "core/sqlite/statement.h"

struct braid_sqlite_cursor {
  sqlite3_stmt *statement; /* NULL: it is a backup's */
  sqlite3_backup *backup;
  sqlite3 *target;
};

static struct braid_sqlite *connection_of(struct braid_sqlite_call *call) {
  struct braid_sqlite *connection = *call->connection;
  if (connection) connection->call = call;
  if (!connection) braid_sqlite_fail(call, SQLITE_MISUSE);
  return connection;
}

/* ---- opening and closing ------------------------------------------------------------------------------------------
 */

/* Waits for a lock in short steps, so that a call that nobody wants any more ends soon. */
static int wait_for_lock(void *context, int times) {
  static const int pauses[] = {1, 1, 2, 3, 5, 8, 10}; /* ms */
  enum { COUNT = sizeof pauses / sizeof *pauses };
  const struct braid_sqlite *connection = context;
  int64_t waited = 0;
  for (int i = 0; i < times; i++) waited += i < COUNT ? pauses[i] : pauses[COUNT - 1];
  if (waited >= connection->patience) return 0;
  if (connection->call && braid_blocking_is_abandoned(&connection->call->blocking)) return 0;
  sqlite3_sleep(times < COUNT ? pauses[times] : pauses[COUNT - 1]);
  return 1;
}

static void close_all(struct braid_sqlite *connection) {
  braid_sqlite_drop_all(connection);
  sqlite3_close_v2(connection->db);
  free(connection);
}

static void open_database(struct braid_sqlite_call *call) {
  int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI;
  bool reads = call->flags & (BRAID_SQLITE_READ_ONLY | BRAID_SQLITE_READER);
  flags |= reads ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  struct braid_sqlite *connection = calloc(1, sizeof *connection);
  if (!connection) {
    braid_sqlite_fail(call, SQLITE_NOMEM);
    return;
  }
  *call->connection = connection;
  connection->patience = call->most;
  int code = sqlite3_open_v2(call->text.data, &connection->db, flags, NULL);
  if (code == SQLITE_OK) {
    sqlite3_extended_result_codes(connection->db, 1);
    sqlite3_busy_handler(connection->db, wait_for_lock, connection);
    return;
  }
  braid_sqlite_fail(call, code);
  close_all(connection);
  *call->connection = NULL;
}

static void close_database(struct braid_sqlite_call *call) {
  struct braid_sqlite *connection = *call->connection;
  *call->connection = NULL;
  if (connection) close_all(connection);
}

static void interrupt(struct braid_sqlite *connection) { sqlite3_interrupt(connection->db); }

/* ---- rows ---------------------------------------------------------------------------------------------------------
 */

static bool add(struct braid_sqlite_call *call, char tag, const void *bytes, size_t size, bool sized) {
  int64_t number = (int64_t)size;
  return braid_buffer_append(&call->rows, &tag, 1) &&
         (!sized || braid_buffer_append(&call->rows, &number, sizeof number)) &&
         braid_buffer_append(&call->rows, bytes, size);
}

static bool add_value(struct braid_sqlite_call *call, sqlite3_stmt *statement, int column) {
  sqlite3_int64 integer;
  double real;
  switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER:
      integer = sqlite3_column_int64(statement, column);
      return add(call, 'i', &integer, sizeof integer, false);
    case SQLITE_FLOAT:
      real = sqlite3_column_double(statement, column);
      return add(call, 'd', &real, sizeof real, false);
    case SQLITE_TEXT: {
      const void *text = sqlite3_column_text(statement, column);
      return text && add(call, 't', text, (size_t)sqlite3_column_bytes(statement, column), true);
    }
    case SQLITE_BLOB: {
      const void *blob = sqlite3_column_blob(statement, column);
      return add(call, 'b', blob, (size_t)sqlite3_column_bytes(statement, column), true);
    }
    default: return add(call, 'n', NULL, 0, false);
  }
}

static bool add_names(struct braid_sqlite_call *call, sqlite3_stmt *statement) {
  call->columns = sqlite3_column_count(statement);
  for (int i = 0; i < call->columns; i++) {
    const char *name = sqlite3_column_name(statement, i);
    if (!name || !add(call, 't', name, strlen(name), true)) return false;
  }
  return true;
}

static int step_once(const struct braid_sqlite_call *call, sqlite3_stmt *statement) {
  return braid_blocking_is_abandoned(&call->blocking) ? SQLITE_INTERRUPT : sqlite3_step(statement);
}

/* Steps until there are `most` rows. Returns SQLITE_ROW when there may be more, SQLITE_DONE, or the error. The first
 * step prepares the statement anew if its tables have changed: only then the columns are known. */
static int step(struct braid_sqlite_call *call, sqlite3_stmt *statement) {
  call->count = 0;
  int code = step_once(call, statement);
  if (!add_names(call, statement)) return SQLITE_NOMEM;
  while (code == SQLITE_ROW) {
    for (int i = 0; i < call->columns; i++)
      if (!add_value(call, statement, i)) return SQLITE_NOMEM;
    if (++call->count == call->most) return SQLITE_ROW;
    code = step_once(call, statement);
  }
  return code;
}

static void tell(struct braid_sqlite_call *call, struct braid_sqlite *connection) {
  call->last_id = sqlite3_last_insert_rowid(connection->db);
  call->committed = sqlite3_get_autocommit(connection->db);
}

/* ---- queries ------------------------------------------------------------------------------------------------------
 */

/* Hands the statement over to a cursor. */
static bool open_cursor(struct braid_sqlite_call *call, sqlite3_stmt *statement) {
  call->cursor = calloc(1, sizeof *call->cursor);
  if (!call->cursor) return false;
  call->cursor->statement = statement;
  return true;
}

static void run(struct braid_sqlite_call *call, struct braid_sqlite *connection, sqlite3_stmt *statement) {
  int64_t before = sqlite3_total_changes64(connection->db);
  int code = step(call, statement);
  if (code == SQLITE_ROW && (call->flags & BRAID_SQLITE_CURSOR) && open_cursor(call, statement)) return;
  if (code != SQLITE_ROW && code != SQLITE_DONE) braid_sqlite_fail(call, code);
  call->affected = sqlite3_stmt_readonly(statement) ? call->count : sqlite3_total_changes64(connection->db) - before;
  if (call->affected > 0 && !sqlite3_stmt_readonly(statement)) call->affected = sqlite3_changes64(connection->db);
  braid_sqlite_keep(connection, statement);
}

/* Carries out a statement once for each list of parameters; stops at the first that fails. */
static void run_many(struct braid_sqlite_call *call, const struct braid_sqlite *connection, sqlite3_stmt *statement) {
  call->count = 0;
  for (size_t at = 0; at < call->values.size && braid_sqlite_bind_list(statement, call, &at); call->count++) {
    int code;
    do code = step_once(call, statement);
    while (code == SQLITE_ROW);
    if (code != SQLITE_DONE) {
      braid_sqlite_fail(call, code);
      return;
    }
    if (!sqlite3_stmt_readonly(statement)) call->affected += sqlite3_changes64(connection->db);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
  }
}

static void query(struct braid_sqlite_call *call) {
  struct braid_sqlite *connection = connection_of(call);
  if (!connection || braid_blocking_is_abandoned(&call->blocking)) {
    if (connection) braid_sqlite_fail(call, SQLITE_INTERRUPT);
    return;
  }
  sqlite3_stmt *statement = braid_sqlite_take(connection, call);
  if (statement && (call->flags & BRAID_SQLITE_READER) && !sqlite3_stmt_readonly(statement)) {
    call->code = BRAID_SQLITE_NOT_HERE;
    braid_sqlite_keep(connection, statement);
  } else if (statement && (call->flags & BRAID_SQLITE_CHECK)) {
    braid_sqlite_keep(connection, statement);
  } else if (statement && (call->flags & BRAID_SQLITE_MANY)) {
    run_many(call, connection, statement);
    braid_sqlite_keep(connection, statement);
  } else if (statement && braid_sqlite_bind(statement, call)) {
    run(call, connection, statement);
  } else if (statement) {
    braid_sqlite_keep(connection, statement);
  }
  tell(call, connection);
  connection->call = NULL;
}

static void fetch(struct braid_sqlite_call *call) {
  struct braid_sqlite *connection = connection_of(call);
  struct braid_sqlite_cursor *cursor = call->cursor;
  if (!connection) { /* it was closed before: this was the last thing that used it */
    sqlite3_finalize(cursor->statement);
    free(cursor);
    call->cursor = NULL;
    return;
  }
  int code = call->flags & BRAID_SQLITE_STOP ? SQLITE_DONE : step(call, cursor->statement);
  if (code != SQLITE_ROW) {
    if (code != SQLITE_DONE) braid_sqlite_fail(call, code);
    braid_sqlite_keep(connection, cursor->statement);
    free(cursor);
    call->cursor = NULL;
  }
  tell(call, connection);
  connection->call = NULL;
}

/* ---- scripts ------------------------------------------------------------------------------------------------------
 */

static int run_one(struct braid_sqlite_call *call, sqlite3_stmt *statement) {
  int code;
  do code = sqlite3_step(statement);
  while (code == SQLITE_ROW && !braid_blocking_is_abandoned(&call->blocking));
  if (code == SQLITE_ROW) code = SQLITE_INTERRUPT;
  if (code != SQLITE_DONE) braid_sqlite_fail(call, code);
  sqlite3_finalize(statement);
  return code;
}

static void script(struct braid_sqlite_call *call) {
  struct braid_sqlite *connection = connection_of(call);
  if (!connection) return;
  const char *at = call->text.data;
  int64_t before = sqlite3_total_changes64(connection->db);
  while (!call->code && *at) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(connection->db, at, -1, &statement, &at);
    if (code != SQLITE_OK)
      braid_sqlite_fail(call, code);
    else if (statement)
      run_one(call, statement);
  }
  call->affected = sqlite3_total_changes64(connection->db) - before;
  tell(call, connection);
  connection->call = NULL;
}

/* ---- backups ------------------------------------------------------------------------------------------------------
 */

static bool begin_backup(struct braid_sqlite_call *call, const struct braid_sqlite *connection) {
  struct braid_sqlite_cursor *cursor = calloc(1, sizeof *cursor);
  if (!cursor) {
    braid_sqlite_fail(call, SQLITE_NOMEM);
    return false;
  }
  call->cursor = cursor;
  int code = sqlite3_open_v2(call->text.data, &cursor->target, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
  if (code == SQLITE_OK) cursor->backup = sqlite3_backup_init(cursor->target, "main", connection->db, "main");
  if (cursor->backup) return true;
  call->code = code == SQLITE_OK ? sqlite3_extended_errcode(cursor->target) : code;
  braid_sqlite_fail(call, call->code);
  return false;
}

static void end_backup(struct braid_sqlite_call *call) {
  struct braid_sqlite_cursor *cursor = call->cursor;
  int code = cursor->backup ? sqlite3_backup_finish(cursor->backup) : SQLITE_OK;
  if (!call->code && code != SQLITE_OK) braid_sqlite_fail(call, code);
  sqlite3_close(cursor->target);
  free(cursor);
  call->cursor = NULL;
}

static void backup(struct braid_sqlite_call *call) {
  const struct braid_sqlite *connection = connection_of(call);
  if (!connection) {
    if (call->cursor) end_backup(call);
    return;
  }
  bool stop = (call->flags & BRAID_SQLITE_STOP) || braid_blocking_is_abandoned(&call->blocking);
  int code = SQLITE_DONE;
  if (!stop && (call->cursor || begin_backup(call, connection))) {
    code = sqlite3_backup_step(call->cursor->backup, (int)call->most);
    call->count = sqlite3_backup_remaining(call->cursor->backup);
    call->columns = sqlite3_backup_pagecount(call->cursor->backup);
  }
  bool again = code == SQLITE_OK || (code & 0xff) == SQLITE_BUSY || (code & 0xff) == SQLITE_LOCKED;
  if (again && !call->code) return;
  if (code != SQLITE_DONE && !again) braid_sqlite_fail(call, code);
  if (call->cursor) end_backup(call);
}

const struct braid_sqlite_functions braid_sqlite_table = {open_database, query,          fetch,    script,
                                                          backup,        close_database, interrupt};
