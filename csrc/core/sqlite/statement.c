/* SPDX-License-Identifier: MIT */
#include "core/sqlite/statement.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "core/sqlite/name.h"

static void fail_with(struct braid_sqlite_call *call, int code, const char *message) {
  call->code = code;
  call->name = code > 0 ? braid_sqlite_name(code) : "SQLITE_MISUSE";
  snprintf(call->message, sizeof call->message, "%s", message);
}

void braid_sqlite_fail(struct braid_sqlite_call *call, int code) {
  sqlite3 *db = *call->connection ? (*call->connection)->db : NULL;
  bool known = db && (sqlite3_extended_errcode(db) & 0xff) == (code & 0xff);
  if (known) code = sqlite3_extended_errcode(db);
  fail_with(call, code, known ? sqlite3_errmsg(db) : sqlite3_errstr(code));
#if SQLITE_VERSION_NUMBER >= 3038000
  call->position = known ? sqlite3_error_offset(db) : -1;
#endif
}

bool braid_sqlite_is_blank(const char *text) {
  while (*text) {
    if (strchr(" \t\r\n\f;", *text)) {
      text++;
    } else if (text[0] == '-' && text[1] == '-') {
      while (*text && *text != '\n') text++;
    } else if (text[0] == '/' && text[1] == '*') {
      const char *end = strstr(text + 2, "*/");
      if (!end) return true;
      text = end + 2;
    } else {
      return false;
    }
  }
  return true;
}

/* ---- prepared statements ---- */

static sqlite3_stmt *find(struct braid_sqlite *connection, const struct braid_sqlite_call *call) {
  for (int i = 0; i < connection->kept_count; i++) {
    sqlite3_stmt *statement = connection->kept[i];
    if (strcmp(sqlite3_sql(statement), call->text.data) != 0) continue;
    connection->kept_count--;
    memmove(&connection->kept[i], &connection->kept[i + 1],
            (size_t)(connection->kept_count - i) * sizeof *connection->kept);
    return statement;
  }
  return NULL;
}

static sqlite3_stmt *prepare(struct braid_sqlite *connection, struct braid_sqlite_call *call) {
  sqlite3_stmt *statement = NULL;
  const char *rest = NULL;
  if (call->text.size > INT_MAX) {
    fail_with(call, SQLITE_TOOBIG, "the statement is too long");
    return NULL;
  }
  int code = sqlite3_prepare_v3(connection->db, call->text.data, (int)call->text.size, SQLITE_PREPARE_PERSISTENT,
                                &statement, &rest);
  if (code == SQLITE_OK && !statement) {
    fail_with(call, SQLITE_ERROR, "the text has no statement");
    return NULL;
  }
  if (code == SQLITE_OK && braid_sqlite_is_blank(rest)) return statement;
  if (code != SQLITE_OK)
    braid_sqlite_fail(call, code);
  else
    fail_with(call, BRAID_SQLITE_SEVERAL, "the text has several statements: use execute");
  sqlite3_finalize(statement);
  return NULL;
}

sqlite3_stmt *braid_sqlite_take(struct braid_sqlite *connection, struct braid_sqlite_call *call) {
  sqlite3_stmt *statement = find(connection, call);
  return statement ? statement : prepare(connection, call);
}

void braid_sqlite_keep(struct braid_sqlite *connection, sqlite3_stmt *statement) {
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  if (connection->kept_count == BRAID_SQLITE_KEPT) sqlite3_finalize(connection->kept[--connection->kept_count]);
  memmove(&connection->kept[1], &connection->kept[0], (size_t)connection->kept_count * sizeof *connection->kept);
  connection->kept[0] = statement;
  connection->kept_count++;
}

void braid_sqlite_drop_all(struct braid_sqlite *connection) {
  while (connection->kept_count > 0) sqlite3_finalize(connection->kept[--connection->kept_count]);
}

/* ---- parameters ---- */

struct reader {
  const char *at, *end;
  sqlite3_destructor_type lifetime; /* of the bytes */
};

static int64_t read_number(struct reader *reader) {
  int64_t number;
  memcpy(&number, reader->at, sizeof number);
  reader->at += sizeof number;
  return number;
}

/* A value at `index`; the index 0 is of a name that the statement does not have: the value is passed over. */
static int bind_value(sqlite3_stmt *statement, int index, struct reader *reader) {
  char tag = *reader->at++;
  if (tag == 'n') return index ? sqlite3_bind_null(statement, index) : SQLITE_OK;
  int64_t number = read_number(reader);
  double real;
  switch (tag) {
    case 'i': return index ? sqlite3_bind_int64(statement, index, number) : SQLITE_OK;
    case 'd':
      memcpy(&real, &number, sizeof real);
      return index ? sqlite3_bind_double(statement, index, real) : SQLITE_OK;
    default: break;
  }
  const char *bytes = reader->at;
  reader->at += number;
  if (!index) return SQLITE_OK;
  if (tag == 'b') return sqlite3_bind_blob64(statement, index, bytes, (sqlite3_uint64)number, reader->lifetime);
  return sqlite3_bind_text64(statement, index, bytes, (sqlite3_uint64)number, reader->lifetime, SQLITE_UTF8);
}

/* The parameter :name, @name or $name; 0: there is none. */
static int index_of(sqlite3_stmt *statement, const char *name, size_t size) {
  char text[256];
  if (size + 2 > sizeof text) return 0;
  memcpy(text + 1, name, size);
  text[size + 1] = '\0';
  for (const char *sign = ":@$"; *sign; sign++) {
    *text = *sign;
    int index = sqlite3_bind_parameter_index(statement, text);
    if (index) return index;
  }
  return 0;
}

static int bind_named(sqlite3_stmt *statement, struct braid_sqlite_call *call, struct reader *reader) {
  reader->at++;
  size_t size = (size_t)read_number(reader);
  const char *name = reader->at;
  reader->at += size;
  int index = index_of(statement, name, size);
  if (index) return bind_value(statement, index, reader);
  fail_with(call, BRAID_SQLITE_NO_NAME, "");
  snprintf(call->message, sizeof call->message, "the statement has no parameter ':%.*s'",
           (int)(size < 100 ? size : 100), name);
  return SQLITE_RANGE;
}

/* Until the end, or the next list. *count: how many there were. */
static bool bind_until_end(sqlite3_stmt *statement, struct braid_sqlite_call *call, struct reader *reader, int *count) {
  for (*count = 0; reader->at < reader->end && *reader->at != 'r'; (*count)++) {
    bool named = *reader->at == 'k';
    int code = named ? bind_named(statement, call, reader) : bind_value(statement, *count + 1, reader);
    if (call->code) return false;
    if (code != SQLITE_OK) {
      braid_sqlite_fail(call, code);
      return false;
    }
  }
  return true;
}

static bool refuse_count(struct braid_sqlite_call *call, int wanted, int count) {
  fail_with(call, SQLITE_RANGE, "");
  snprintf(call->message, sizeof call->message, "the statement has %d parameters, and got %d values", wanted, count);
  return false;
}

static bool is_positional(const struct reader *reader) { return reader->at == reader->end || *reader->at != 'k'; }

bool braid_sqlite_bind(sqlite3_stmt *statement, struct braid_sqlite_call *call) {
  bool long_lived = call->flags & BRAID_SQLITE_CURSOR; /* the cursor outlives the call */
  struct reader reader = {call->values.data, call->values.data + call->values.size,
                          long_lived ? SQLITE_TRANSIENT : SQLITE_STATIC};
  int wanted = sqlite3_bind_parameter_count(statement), count;
  if (is_positional(&reader) && call->count != wanted) return refuse_count(call, wanted, (int)call->count);
  return bind_until_end(statement, call, &reader, &count);
}

static int values_of_list(const struct reader *from) {
  struct reader reader = *from;
  int count = 0;
  for (; reader.at < reader.end && *reader.at != 'r'; count++) {
    char tag = *reader.at++;
    int64_t number = tag == 'n' ? 0 : read_number(&reader);
    if (tag == 't' || tag == 'b') reader.at += number;
  }
  return count;
}

bool braid_sqlite_bind_list(sqlite3_stmt *statement, struct braid_sqlite_call *call, size_t *at) {
  struct reader reader = {call->values.data + *at + 1, call->values.data + call->values.size, SQLITE_STATIC};
  int wanted = sqlite3_bind_parameter_count(statement), count;
  if (is_positional(&reader) && (count = values_of_list(&reader)) != wanted) return refuse_count(call, wanted, count);
  bool bound = bind_until_end(statement, call, &reader, &count);
  *at = (size_t)(reader.at - call->values.data);
  return bound;
}
