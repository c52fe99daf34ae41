/* SPDX-License-Identifier: MIT
 * Connections to SQLite databases, for lua/braid/sqlite. Each has a companion, a thread that makes its calls; the task
 * waits for their end. A call that is cancelled before its companion has begun it is not made. One that has begun is
 * interrupted, and the task waits until it has ended: so what it has done is known. */
#include <lauxlib.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "core/loop/companion.h"
#include "core/base/clock.h"
#include "core/work/sqlite.h"
#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/base/lopen.h"
#include "lua/codec/llist.h"
#include "lua/io/lsqlitevalue.h"
#include "lua/sched/lobject.h"
#include "lua/sched/lsched.h"

#define CONNECTION "braid.sqlite_connection"
#define CURSOR "braid.sqlite_cursor"

/* What the calls of a connection share: they and the connection hold references. */
struct handle {
  struct braid_object object;
  struct braid_sqlite *connection; /* the companion's */
};

struct connection {
  const struct braid_sqlite_functions *functions;
  struct braid_companion *companion; /* NULL: it is closed */
  struct handle *handle;
};

struct call {
  struct braid_sqlite_call sqlite;
  struct handle *handle;
};

static void destroy_handle(struct braid_object *object) { free(braid_container(object, struct handle, object)); }

static const struct braid_class handle_class = {"braid.sqlite_handle", destroy_handle};

static void destroy_call(struct braid_object *object) {
  struct call *call = braid_container(object, struct call, sqlite.blocking.object);
  braid_blocking_term(&call->sqlite.blocking);
  braid_buffer_term(&call->sqlite.text);
  braid_buffer_term(&call->sqlite.values);
  braid_buffer_term(&call->sqlite.rows);
  braid_object_unref(&call->handle->object);
  free(call);
}

static const struct braid_class call_class = {"braid.sqlite_call", destroy_call};

static void act(struct braid_blocking *work) {
  struct braid_sqlite_call *call = braid_container(work, struct braid_sqlite_call, blocking);
  call->act(call);
}

static struct call *new_call(struct handle *handle, void (*function)(struct braid_sqlite_call *call)) {
  struct call *call = calloc(1, sizeof *call);
  if (!call) return NULL;
  braid_blocking_init(&call->sqlite.blocking, &call_class, act);
  braid_object_ref(&handle->object);
  call->handle = handle;
  call->sqlite.act = function;
  call->sqlite.connection = &handle->connection;
  call->sqlite.position = -1;
  return call;
}

/* ---- connections --------------------------------------------------------------------------------------------------
 */

static struct connection *check(lua_State *L) {
  struct connection *connection = larg_object(L, 1, CONNECTION);
  if (!connection->companion) lerror_raise(L, "closed", "sqlite: the connection is closed");
  return connection;
}

/* Pushes a box with a new call. */
static struct call *push_call(lua_State *L, const struct connection *connection,
                              void (*function)(struct braid_sqlite_call *call)) {
  lobject_box(L, &call_class);
  struct call *call = new_call(connection->handle, function);
  lobject_fill(L, call ? &call->sqlite.blocking.object : NULL);
  return call;
}

static struct call *call_at(lua_State *L, int index) {
  return braid_container(lobject_check(L, index, &call_class), struct call, sqlite.blocking.object);
}

/* Lets the companion close the database and end. Without memory for the call it stays open until the process ends. */
static void let_go(struct connection *connection) {
  if (!connection->companion) return;
  struct call *call = new_call(connection->handle, connection->functions->close);
  if (call) braid_companion_submit(connection->companion, &call->sqlite.blocking);
  braid_companion_end(connection->companion);
  connection->companion = NULL;
}

static int connection_gc(lua_State *L) {
  struct connection *connection = larg_object(L, 1, CONNECTION);
  let_go(connection);
  if (connection->handle) braid_object_unref(&connection->handle->object);
  connection->handle = NULL;
  return 0;
}

/* ---- waiting ------------------------------------------------------------------------------------------------------
 */

enum { BOX = 2, SHAPE }; /* stack indices while a call runs: the connection is at 1 */

/* While a call is under way that does not open or close the database. */
static void interrupt(void *context) {
  const struct connection *connection = context;
  connection->functions->interrupt(connection->handle->connection);
}

static void leave_alone(void *context) { (void)context; }

/* Most calls are short: spins for about the time of a wake-up if nothing else can run. */
static bool spin(const struct sched *sched, struct braid_blocking *work) {
  enum { LOOKS = 32, PATIENCE = 20 * 1000 };
  if (!sched_is_alone(sched) || !braid_thread_may_spin()) return false;
  int64_t end = braid_clock_now() + PATIENCE;
  do {
    for (int i = 0; i < LOOKS; i++) braid_thread_relax();
    if (braid_blocking_wait(work, NULL) == BRAID_OK) return true;
  } while (braid_clock_now() < end);
  return false;
}

/* Ends a cursor that nobody has any more. Without memory for the call it stays open as long as its connection. */
static void drop_cursor(const struct connection *connection, struct braid_sqlite_call *of) {
  struct call *call = connection->companion ? new_call(connection->handle, of->act) : NULL;
  if (!call) return;
  call->sqlite.act = of->act == connection->functions->backup ? of->act : connection->functions->fetch;
  call->sqlite.flags = BRAID_SQLITE_STOP;
  call->sqlite.cursor = of->cursor;
  of->cursor = NULL;
  braid_companion_submit(connection->companion, &call->sqlite.blocking);
}

/* The cancelled call has ended, too. */
static int abandon_k(lua_State *L, int status, lua_KContext end) {
  struct sched *sched = sched_of(L);
  struct braid_sqlite_call *call = &call_at(L, BOX)->sqlite;
  if (status == LUA_YIELD) sched_end(sched);
  if (call->cursor) drop_cursor(lua_touserdata(L, 1), call);
  return sched_raise(L, sched, (enum braid_status)end);
}

static int abandon(lua_State *L, struct sched *sched, enum braid_status end) {
  struct connection *connection = lua_touserdata(L, 1);
  struct braid_sqlite_call *call = &call_at(L, BOX)->sqlite;
  struct braid_blocking *work = &call->blocking;
  void (*touch)(void *) = call->act == connection->functions->open ? leave_alone : interrupt;
  braid_blocking_abandon(work);
  bool begun = connection->companion && braid_companion_touch(connection->companion, work, touch, connection);
  if (!begun) return sched_raise(L, sched, end);
  struct braid_waiter *waiter = sched_begin_masked(L, sched);
  if (braid_blocking_wait(work, &waiter->node) == BRAID_WAIT)
    return sched_park(L, sched, BRAID_NEVER, abandon_k, (lua_KContext)end);
  sched_forget(sched);
  return abandon_k(L, LUA_OK, (lua_KContext)end);
}

/* Makes the results of a call that has ended. */
typedef int (*finisher)(lua_State *L, struct braid_sqlite_call *call);

/* The call is freed at once: its memory is not Lua's, so the collector would let much of it gather. */
static int deliver(lua_State *L, finisher finish) {
  int count = finish(L, &call_at(L, BOX)->sqlite);
  struct braid_object *object = lobject_take(L, BOX);
  if (object) braid_object_unref(object);
  return count;
}

static int join_k(lua_State *L, int status, lua_KContext context) {
  (void)status;
  struct sched *sched = sched_of(L);
  enum braid_status end = sched_end(sched);
  if (sched_stopped(end)) return abandon(L, sched, end);
  return deliver(L, (finisher)context);
}

static int join(lua_State *L, finisher finish) {
  struct sched *sched = sched_of(L);
  struct braid_blocking *work = &call_at(L, BOX)->sqlite.blocking;
  bool done = spin(sched, work);
  if (!done && braid_blocking_wait(work, &sched_waiter(sched)->node) == BRAID_WAIT)
    return sched_park(L, sched, BRAID_NEVER, join_k, (lua_KContext)finish);
  sched_forget(sched);
  return deliver(L, finish);
}

/* Makes the call whose box is at BOX, and then calls `finish`. Suspends. */
static int run(lua_State *L, struct connection *connection, finisher finish) {
  struct braid_blocking *work = &call_at(L, BOX)->sqlite.blocking;
  sched_begin(L, sched_of(L));
  braid_object_ref(&work->object);
  braid_companion_submit(connection->companion, work);
  return join(L, finish);
}

static void set_text(lua_State *L, struct braid_sqlite_call *call, int index) {
  size_t size;
  const char *text = larg_string(L, index, "sql", &size);
  if (memchr(text, 0, size)) lerror_misuse(L, "a statement or a path has no zero byte");
  if (!braid_buffer_append(&call->text, text, size + 1)) lerror_memory(L);
}

/* ---- results ------------------------------------------------------------------------------------------------------
 */

enum { ROWS, LISTS, FIRST_ROW, VALUE, SHAPES = 3, KEEP_NULLS = 4 };

static int push_failure(lua_State *L, const struct braid_sqlite_call *call) {
  lua_pushnil(L);
  if (call->code == BRAID_SQLITE_NOT_HERE) {
    lua_pushboolean(L, 0);
    return 2;
  }
  const char *kind = call->code == BRAID_SQLITE_SEVERAL || call->code == BRAID_SQLITE_NO_NAME ? "misuse" : "sqlite";
  lerror_push(L, kind, "%s", call->message);
  lua_pushstring(L, call->name);
  lua_setfield(L, -2, "code");
  if (call->position >= 0) {
    lua_pushinteger(L, call->position + 1);
    lua_setfield(L, -2, "position");
  }
  return 2;
}

/* Pushes the list of names, and returns the index of the first of the names, which it pushes after it. */
static int push_names(lua_State *L, struct lsqlite_reader *reader, int count) {
  luaL_checkstack(L, count + LUA_MINSTACK, "a row");
  lua_createtable(L, count, 0);
  llist_metatable(L);
  lua_setmetatable(L, -2);
  int list = lua_gettop(L);
  for (int i = 1; i <= count; i++) {
    lsqlite_push_value(L, reader, false);
    lua_pushvalue(L, -1);
    lua_rawseti(L, list, i);
  }
  return list + 1;
}

static void push_row(lua_State *L, struct lsqlite_reader *reader, int names, int count, int shape) {
  bool list = (shape & SHAPES) == LISTS, keep = list || (shape & KEEP_NULLS);
  lua_createtable(L, list ? count : 0, list ? 0 : count);
  for (int i = 0; i < count; i++) {
    if (!list) lua_pushvalue(L, names + i);
    lsqlite_push_value(L, reader, keep);
    if (list)
      lua_rawseti(L, -2, i + 1);
    else
      lua_rawset(L, -3);
  }
}

/* Pushes what `shape` says. */
static void push_rows(lua_State *L, const struct braid_sqlite_call *call, int shape) {
  struct lsqlite_reader reader = {call->rows.data};
  int columns = (int)call->columns, names = push_names(L, &reader, columns), list = names - 1;
  if ((shape & SHAPES) >= FIRST_ROW) {
    if (call->count == 0)
      lua_pushnil(L);
    else if ((shape & SHAPES) == FIRST_ROW)
      push_row(L, &reader, names, columns, shape);
    else
      lsqlite_push_value(L, &reader, shape & KEEP_NULLS);
    return;
  }
  lua_createtable(L, call->count < INT_MAX ? (int)call->count : 0, 3);
  for (int64_t i = 1; i <= call->count; i++) {
    push_row(L, &reader, names, columns, shape);
    lua_rawseti(L, -2, i);
  }
  lua_pushvalue(L, list);
  lua_setfield(L, -2, "columns");
  lua_pushinteger(L, call->affected);
  lua_setfield(L, -2, "affected");
  lua_pushinteger(L, call->last_id);
  lua_setfield(L, -2, "last_id");
}

/* A cursor holds its connection, and what is left of its rows. */
struct lcursor {
  struct braid_sqlite_cursor *cursor;          /* NULL: it is at its end */
  void (*act)(struct braid_sqlite_call *call); /* that has made it */
};

static void give_cursor(lua_State *L, struct braid_sqlite_call *call, struct lcursor *into) {
  into->cursor = call->cursor;
  into->act = call->act;
  call->cursor = NULL;
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
}

static int finish_query(lua_State *L, struct braid_sqlite_call *call) {
  if (call->code) return push_failure(L, call);
  if (!call->cursor) {
    push_rows(L, call, (int)lua_tointeger(L, SHAPE));
    return 1;
  }
  struct lcursor *cursor = lua_newuserdatauv(L, sizeof *cursor, 1);
  cursor->cursor = NULL;
  luaL_setmetatable(L, CURSOR);
  give_cursor(L, call, cursor);
  int box = lua_gettop(L);
  push_rows(L, call, (int)lua_tointeger(L, SHAPE));
  lua_pushvalue(L, box);
  return 2;
}

/* Moves the box on the top, and the shape at `shape`, to their places. */
static void arrange(lua_State *L, int shape) {
  lua_pushvalue(L, shape);
  lua_replace(L, SHAPE);
  lua_replace(L, BOX);
  lua_settop(L, SHAPE);
}

/* connection:query(sql, flags, most, shape, ...) -> rows, cursor or nothing | nil, err; false: it is not for a
 * reader. Suspends. */
static int connection_query(lua_State *L) {
  struct connection *connection = check(L);
  enum { SQL = 2, FLAGS, MOST, HOW, PARAMETERS };
  int last = lua_gettop(L);
  struct braid_sqlite_call *call = &push_call(L, connection, connection->functions->query)->sqlite;
  call->flags = (int)larg_integer(L, FLAGS, "flags", 0);
  call->most = larg_integer(L, MOST, "most", 0);
  set_text(L, call, SQL);
  lsqlite_add_values(L, call, PARAMETERS, last);
  arrange(L, HOW);
  return run(L, connection, finish_query);
}

static int finish_many(lua_State *L, struct braid_sqlite_call *call) {
  if (call->code) {
    push_failure(L, call);
    lua_pushinteger(L, (lua_Integer)call->count + 1);
    return 3;
  }
  lua_pushinteger(L, call->affected);
  lua_pushinteger(L, call->last_id);
  return 2;
}

/* connection:many(sql, lists, first, last) -> rows changed, last id | nil, err, the number of the list that failed,
 * from `first`, which is 1. Suspends. */
static int connection_many(lua_State *L) {
  struct connection *connection = check(L);
  enum { SQL = 2, LISTS_AT, FIRST_LIST, LAST_LIST };
  luaL_checktype(L, LISTS_AT, LUA_TTABLE);
  lua_Integer first = larg_integer(L, FIRST_LIST, "first", 1), last = larg_integer(L, LAST_LIST, "last", 0);
  struct braid_sqlite_call *call = &push_call(L, connection, connection->functions->query)->sqlite;
  call->flags = BRAID_SQLITE_MANY;
  set_text(L, call, SQL);
  lsqlite_add_lists(L, call, LISTS_AT, first, last);
  lua_replace(L, BOX);
  lua_settop(L, BOX);
  return run(L, connection, finish_many);
}

static int finish_fetch(lua_State *L, struct braid_sqlite_call *call) {
  enum { CURSOR_AT = 4 };
  ((struct lcursor *)lua_touserdata(L, CURSOR_AT))->cursor = call->cursor;
  if (call->code) return push_failure(L, call);
  push_rows(L, call, (int)lua_tointeger(L, SHAPE));
  lua_pushboolean(L, call->cursor != NULL);
  return 2;
}

/* connection:fetch(cursor, flags, most, shape) -> rows, whether there may be more | nil, err. Suspends. */
static int connection_fetch(lua_State *L) {
  struct connection *connection = check(L);
  struct lcursor *cursor = larg_object(L, 2, CURSOR);
  if (!cursor->cursor) return 0;
  struct braid_sqlite_call *call = &push_call(L, connection, connection->functions->fetch)->sqlite;
  call->flags = (int)larg_integer(L, 3, "flags", 0);
  call->most = larg_integer(L, 4, "most", 0);
  call->cursor = cursor->cursor;
  cursor->cursor = NULL; /* the call's now */
  lua_pushvalue(L, 2);
  lua_replace(L, 4);
  lua_pushvalue(L, 5);
  lua_replace(L, SHAPE);
  lua_replace(L, BOX);
  lua_settop(L, 4);
  return run(L, connection, finish_fetch);
}

/* A cursor that was left, or whose fetch was cancelled. */
static int cursor_gc(lua_State *L) {
  struct lcursor *cursor = larg_object(L, 1, CURSOR);
  if (!cursor->cursor) return 0;
  lua_getiuservalue(L, 1, 1);
  const struct connection *connection = larg_test(L, -1, CONNECTION);
  struct call *call =
      connection && connection->companion ? new_call(connection->handle, connection->functions->fetch) : NULL;
  if (call) {
    call->sqlite.flags = BRAID_SQLITE_STOP;
    call->sqlite.cursor = cursor->cursor;
    braid_companion_submit(connection->companion, &call->sqlite.blocking);
  }
  cursor->cursor = NULL;
  return 0;
}

static int finish_script(lua_State *L, struct braid_sqlite_call *call) {
  if (call->code) return push_failure(L, call);
  lua_pushinteger(L, call->affected);
  lua_pushinteger(L, call->last_id);
  return 2;
}

/* connection:script(sql) -> rows changed, last id | nil, err. Suspends. */
static int connection_script(lua_State *L) {
  struct connection *connection = check(L);
  struct call *call = push_call(L, connection, connection->functions->script);
  set_text(L, &call->sqlite, 2);
  lua_replace(L, BOX);
  lua_settop(L, BOX);
  return run(L, connection, finish_script);
}

static int finish_backup(lua_State *L, struct braid_sqlite_call *call) {
  if (call->code) return push_failure(L, call);
  lua_pushinteger(L, call->count);
  lua_pushinteger(L, call->columns);
  if (!call->cursor) return 2;
  struct lcursor *cursor = lua_newuserdatauv(L, sizeof *cursor, 1);
  cursor->cursor = NULL;
  luaL_setmetatable(L, CURSOR);
  give_cursor(L, call, cursor);
  return 3;
}

/* connection:backup(path or cursor, flags, pages) -> pages left, all pages, cursor or nothing at the end | nil, err.
 * Suspends. */
static int connection_backup(lua_State *L) {
  struct connection *connection = check(L);
  struct lcursor *cursor = larg_test(L, 2, CURSOR);
  struct braid_sqlite_call *call = &push_call(L, connection, connection->functions->backup)->sqlite;
  call->flags = (int)larg_integer(L, 3, "flags", 0);
  call->most = larg_between(L, 4, "pages", 1, INT_MAX);
  if (!cursor) set_text(L, call, 2);
  if (cursor) {
    call->cursor = cursor->cursor;
    cursor->cursor = NULL;
  }
  lua_replace(L, BOX);
  lua_settop(L, BOX);
  return run(L, connection, finish_backup);
}

/* connection:interrupt(): ends what is under way with SQLITE_INTERRUPT. */
static int connection_interrupt(lua_State *L) {
  struct connection *connection = larg_object(L, 1, CONNECTION);
  if (connection->companion) braid_companion_touch(connection->companion, NULL, interrupt, connection);
  return 0;
}

static int finish_open(lua_State *L, struct braid_sqlite_call *call) {
  if (call->code) {
    let_go(lua_touserdata(L, 1));
    return push_failure(L, call);
  }
  lua_pushvalue(L, 1);
  return 1;
}

static struct handle *new_handle(void) {
  struct handle *handle = calloc(1, sizeof *handle);
  if (!handle) return NULL;
  braid_object_init(&handle->object, &handle_class);
  braid_object_share(&handle->object);
  return handle;
}

/* sqlite_open(functions, path, flags, ms) -> connection | nil, err. Suspends. */
static int sqlite_open(lua_State *L) {
  const struct braid_sqlite_functions *functions = lua_touserdata(L, 1);
  int flags = (int)larg_integer(L, 3, "flags", 0);
  int64_t patience = larg_integer(L, 4, "ms", 0);
  struct connection *connection = lua_newuserdatauv(L, sizeof *connection, 0);
  *connection = (struct connection){.functions = functions};
  luaL_setmetatable(L, CONNECTION);
  connection->handle = new_handle();
  if (!connection->handle) return lerror_memory(L);
  int error = braid_companion_start(&connection->companion);
  if (error) return lerror_system(L, error, "sqlite.open");
  lua_replace(L, 1);
  struct braid_sqlite_call *call = &push_call(L, connection, functions->open)->sqlite;
  call->flags = flags;
  call->most = patience;
  set_text(L, call, 2);
  lua_replace(L, BOX);
  lua_settop(L, BOX);
  return run(L, connection, finish_open);
}

static int finish_close(lua_State *L, struct braid_sqlite_call *call) {
  (void)L, (void)call;
  return 0;
}

/* connection:close(): waits until what was submitted before has ended. Suspends. */
static int connection_close(lua_State *L) {
  struct connection *connection = larg_object(L, 1, CONNECTION);
  if (!connection->companion) return 0;
  lua_settop(L, 1);
  push_call(L, connection, connection->functions->close);
  struct braid_blocking *work = &call_at(L, BOX)->sqlite.blocking;
  sched_begin_masked(L, sched_of(L));
  braid_object_ref(&work->object);
  braid_companion_submit(connection->companion, work);
  braid_companion_end(connection->companion);
  connection->companion = NULL;
  return join(L, finish_close);
}

void lsqlite_open(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"query", connection_query},   {"many", connection_many},     {"fetch", connection_fetch},
      {"script", connection_script}, {"backup", connection_backup}, {"interrupt", connection_interrupt},
      {"close", connection_close},   {"__gc", connection_gc},       {NULL, NULL}};
  static const luaL_Reg cursor_methods[] = {{"__gc", cursor_gc}, {NULL, NULL}};
  static const luaL_Reg none[] = {{NULL, NULL}};
  static const luaL_Reg functions[] = {{"sqlite_open", sqlite_open}, {NULL, NULL}};
  sched_class(L, CONNECTION, methods);
  lua_pop(L, 1);
  sched_class(L, CURSOR, cursor_methods);
  lua_pop(L, 1);
  lobject_class(L, &call_class, none);
  lua_pop(L, 1);
  luaL_newmetatable(L, LSQLITE_BLOB);
  lua_setfield(L, -2, "SqliteBlob");
  sched_register(L, functions);
}
