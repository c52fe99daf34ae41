/* SPDX-License-Identifier: MIT
 * The module braid.postgres_core: connections of libpq, for Lua. It is a separate module and uses no scheduler, so a
 * machine without libpq still has all of the rest. It never waits: the Lua layer waits for the connection's descriptor
 * and then lets libpq work. The state's own thread; nothing blocks. */
#include <errno.h>
#include <lauxlib.h>
#include <libpq-fe.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/postgres/cancel.h"
#include "lua/postgres/lpganswer.h"
#include "lua/postgres/lpgconnection.h"
#include "lua/postgres/lpgerror.h"
#include "lua/postgres/lpgtype.h"

#define CANCELLATION "braid.postgres.cancellation"

enum { MOST_PARAMETERS = 65535 };

/* ---- connecting ---------------------------------------------------------------------------------------------------
 */

static void set_options(lua_State *L, const PQconninfoOption *options) {
  for (; options && options->keyword; options++) {
    if (!options->val) continue;
    lua_pushstring(L, options->val);
    lua_setfield(L, -2, options->keyword);
  }
}

/* parse(conninfo) -> table: keyword -> value | nil, reason */
static int parse(lua_State *L) {
  char *reason = NULL;
  lua_settop(L, 1);
  PQconninfoOption *options = PQconninfoParse(luaL_checkstring(L, 1), &reason);
  if (!options) {
    lua_pushnil(L);
    lua_pushstring(L, reason ? reason : "not enough memory");
    PQfreemem(reason);
    return 2;
  }
  lua_newtable(L);
  set_options(L, options);
  PQconninfoFree(options);
  return 1;
}

/* defaults() -> what the environment says: keyword -> value; and the set of all keywords */
static int defaults(lua_State *L) {
  PQconninfoOption *options = PQconndefaults();
  lua_newtable(L);
  set_options(L, options);
  lua_newtable(L);
  for (const PQconninfoOption *each = options; each && each->keyword; each++) {
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, each->keyword);
  }
  PQconninfoFree(options);
  return 2;
}

/* Notices are not shown. A fatal error that comes while nothing is under way arrives as one, too. */
static void look_at_notice(void *context, const PGresult *result) {
  struct lpgconnection *connection = context;
  const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
  if (severity && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0)) connection->doomed = true;
}

/* The strings of the table at 1, in two arrays that a userdata on the stack keeps. */
static const char **push_settings(lua_State *L, int count) {
  const char **words = lua_newuserdatauv(L, sizeof *words * 2 * (size_t)(count + 1), 0), **values = words + count + 1;
  int i = 0;
  for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1), i++) {
    words[i] = luaL_checkstring(L, -2);
    values[i] = luaL_checkstring(L, -1);
  }
  words[count] = values[count] = NULL;
  return words;
}

/* start(settings) -> connection | nil, reason. Then `poll` until it is connected. */
static int start(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  int count = 0;
  for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) count++;
  const char **words = push_settings(L, count);
  struct lpgconnection *connection = lua_newuserdatauv(L, sizeof *connection, 0);
  *connection = (struct lpgconnection){.owner = getpid()};
  luaL_setmetatable(L, LPGCONNECTION);
  connection->conn = PQconnectStartParams(words, words + count + 1, 0);
  if (!connection->conn) return luaL_error(L, "not enough memory");
  if (PQstatus(connection->conn) == CONNECTION_BAD) return lpgconnection_refuse(L, connection->conn);
  PQsetNoticeReceiver(connection->conn, look_at_notice, connection);
  return 1;
}

/* connection:poll() -> "r", "w": for what it waits; "done" | nil, reason */
static int connection_poll(lua_State *L) {
  PGconn *conn = lpgconnection_check_open(L);
  switch (PQconnectPoll(conn)) {
    case PGRES_POLLING_READING: lua_pushliteral(L, "r"); return 1;
    case PGRES_POLLING_WRITING: lua_pushliteral(L, "w"); return 1;
    case PGRES_POLLING_OK: break;
    default: return lpgconnection_refuse(L, conn);
  }
  if (PQsetnonblocking(conn, 1)) return lpgconnection_refuse(L, conn);
  lua_pushliteral(L, "done");
  return 1;
}

/* connection:fd() -> descriptor; nothing when there is none */
static int connection_fd(lua_State *L) {
  int fd = PQsocket(lpgconnection_check_open(L));
  if (fd < 0) return 0;
  lua_pushinteger(L, fd);
  return 1;
}

/* connection:close(). In a forked child it frees nothing: PQfinish would tell the server that the session ends, which
 * is the parent's. */
static int connection_close(lua_State *L) {
  struct lpgconnection *connection = lpgconnection_check(L);
  lpgconnection_forget_result(connection);
  if (connection->conn && connection->owner == getpid()) PQfinish(connection->conn);
  connection->conn = NULL;
  return 0;
}

/* connection:shut(): ends the connection, so that waits for its descriptor end; it stays open until `close`. */
static int connection_shut(lua_State *L) {
  shutdown(PQsocket(lpgconnection_check_open(L)), SHUT_RDWR);
  return 0;
}

/* connection:facts() -> process id of the server, its version, whether TLS is used, the state of its transaction. Only
 * when nothing is under way. After the last sync some versions of libpq become idle only when they are asked again. */
static int connection_facts(lua_State *L) {
  static const char *const states[] = {"idle", "active", "open", "failed", "unknown"};
  PGconn *conn = lpgconnection_check_open(L);
  if (PQtransactionStatus(conn) == PQTRANS_ACTIVE && !PQisBusy(conn)) PQclear(PQgetResult(conn));
  lua_pushinteger(L, PQbackendPID(conn));
  lua_pushinteger(L, PQserverVersion(conn));
  lua_pushboolean(L, PQsslInUse(conn));
  lua_pushstring(L, states[PQtransactionStatus(conn)]);
  return 4;
}

/* connection:reason() -> libpq's last message; and whether the connection is lost */
static int connection_reason(lua_State *L) {
  PGconn *conn = lpgconnection_check_open(L);
  lpgerror_push_reason(L, conn);
  lua_pushboolean(L, PQstatus(conn) == CONNECTION_BAD);
  return 2;
}

/* ---- sending ------------------------------------------------------------------------------------------------------
 */

/* Pushes whether all was sent | nil, reason. */
static int push_sent(lua_State *L, PGconn *conn, int ok) {
  int left = ok ? PQflush(conn) : -1;
  if (left < 0) return lpgconnection_refuse(L, conn);
  lua_pushboolean(L, left == 0);
  return 1;
}

/* connection:flush() -> whether all was sent | nil, reason */
static int connection_flush(lua_State *L) { return push_sent(L, lpgconnection_check_open(L), 1); }

/* connection:pipeline(on) -> true | nil, reason. Only when nothing is under way. */
static int connection_pipeline(lua_State *L) {
  PGconn *conn = lpgconnection_check_open(L);
  int ok = lua_toboolean(L, 2) ? PQenterPipelineMode(conn) : PQexitPipelineMode(conn);
  if (!ok) return lpgconnection_refuse(L, conn);
  lua_pushboolean(L, 1);
  return 1;
}

/* connection:prepare(name, sql) -> whether all was sent | nil, reason. Ends with a sync. */
static int connection_prepare(lua_State *L) {
  PGconn *conn = lpgconnection_check_open(L);
  const char *name = luaL_checkstring(L, 2), *sql = luaL_checkstring(L, 3);
  int ok = PQsendPrepare(conn, name, sql, 0, NULL) && PQsendDescribePrepared(conn, name) && PQpipelineSync(conn);
  return push_sent(L, conn, ok);
}

/* Values for the server, in arrays. */
struct parameters {
  const char **values;
  int *sizes, *formats;
};

static struct parameters push_parameters(lua_State *L, int count) {
  size_t each = sizeof(char *) + 2 * sizeof(int);
  struct parameters parameters;
  parameters.values = lua_newuserdatauv(L, (size_t)count * each + 1, 0);
  parameters.sizes = (int *)(parameters.values + count);
  parameters.formats = parameters.sizes + count;
  return parameters;
}

enum { NAME = 2, TYPES, FIRST };

/* Fills the arrays from the values from FIRST on. `types`: the numbers of the types, 4 bytes each. */
static void read_parameters(lua_State *L, int count, const struct parameters *parameters) {
  size_t known;
  const char *types = luaL_checklstring(L, TYPES, &known);
  lpgconnection_push_helper(L, LPG_ENCODE_TABLE);
  int encode = lua_gettop(L);
  for (int i = 0; i < count; i++) {
    Oid type = 0;
    bool binary;
    if ((size_t)(i + 1) * sizeof type <= known) memcpy(&type, types + (size_t)i * sizeof type, sizeof type);
    bool there = lpgtype_parameter(L, FIRST + i, type, i + 1, encode, &binary);
    parameters->values[i] = there ? lua_tostring(L, FIRST + i) : NULL;
    parameters->sizes[i] = there ? (int)lua_rawlen(L, FIRST + i) : 0;
    parameters->formats[i] = binary;
    if (there && lua_rawlen(L, FIRST + i) > INT_MAX) lpgerror_misuse(L, "parameter %d is larger than 2 GiB", i + 1);
  }
}

/* connection:send(name, types, ...) -> whether all was sent | nil, reason. Carries out a prepared statement; ends with
 * a sync. Raises before anything is sent if a value cannot be sent. */
static int connection_send(lua_State *L) {
  PGconn *conn = lpgconnection_check_open(L);
  const char *name = luaL_checkstring(L, NAME);
  int count = lua_gettop(L) - TYPES;
  if (count > MOST_PARAMETERS)
    return lpgerror_misuse(L, "%d parameters, and the protocol allows %d", count, MOST_PARAMETERS);
  luaL_checkstack(L, LUA_MINSTACK, "parameters");
  struct parameters parameters = push_parameters(L, count);
  read_parameters(L, count, &parameters);
  int ok = PQsendQueryPrepared(conn, name, count, parameters.values, parameters.sizes, parameters.formats, 0) &&
           PQpipelineSync(conn);
  return push_sent(L, conn, ok);
}

/* connection:command(sql) -> whether all was sent | nil, reason. One statement without parameters, which is not kept;
 * ends with a sync. */
static int connection_command(lua_State *L) {
  PGconn *conn = lpgconnection_check_open(L);
  int ok = PQsendQueryParams(conn, luaL_checkstring(L, 2), 0, NULL, NULL, NULL, NULL, 0) && PQpipelineSync(conn);
  return push_sent(L, conn, ok);
}

/* connection:send_script(sql) -> whether all was sent | nil, reason. Not in a pipeline. */
static int connection_send_script(lua_State *L) {
  PGconn *conn = lpgconnection_check_open(L);
  return push_sent(L, conn, PQsendQuery(conn, luaL_checkstring(L, 2)));
}

/* connection:single_rows(): the statement that was just sent will give its rows one by one. */
static int connection_single_rows(lua_State *L) {
  lua_pushboolean(L, PQsetSingleRowMode(lpgconnection_check_open(L)));
  return 1;
}

/* ---- receiving ----------------------------------------------------------------------------------------------------
 */

/* connection:consume() -> true; false: the server ends the connection | nil, reason. Reads what has come. */
static int connection_consume(lua_State *L) {
  const struct lpgconnection *connection = lpgconnection_check(L);
  PGconn *conn = lpgconnection_check_open(L);
  if (!PQconsumeInput(conn)) return lpgconnection_refuse(L, conn);
  if (PQtransactionStatus(conn) != PQTRANS_ACTIVE) PQisBusy(conn); /* looks at what came without being asked for */
  lua_pushboolean(L, !connection->doomed);
  return 1;
}

/* ---- copies and notifications -------------------------------------------------------------------------------------
 */

/* connection:put(data) -> true; false: there is no room, flush first | nil, reason */
static int connection_put(lua_State *L) {
  PGconn *conn = lpgconnection_check_open(L);
  size_t size;
  const char *data = luaL_checklstring(L, 2, &size);
  if (size > INT_MAX) return luaL_error(L, "a piece of a copy is larger than 2 GiB");
  int done = PQputCopyData(conn, data, (int)size);
  if (done < 0) return lpgconnection_refuse(L, conn);
  lua_pushboolean(L, done);
  return 1;
}

/* connection:put_end(failure or nil): as put. With a text the server drops the copy. */
static int connection_put_end(lua_State *L) {
  PGconn *conn = lpgconnection_check_open(L);
  int done = PQputCopyEnd(conn, luaL_optstring(L, 2, NULL));
  if (done < 0) return lpgconnection_refuse(L, conn);
  lua_pushboolean(L, done);
  return 1;
}

/* connection:get() -> a row of a copy; false: it has not come yet; nothing at the end; nil, reason */
static int connection_get(lua_State *L) {
  PGconn *conn = lpgconnection_check_open(L);
  char *data = NULL;
  int size = PQgetCopyData(conn, &data, 1);
  if (size > 0) {
    lua_pushlstring(L, data, (size_t)size); /* without memory for it the state ends soon anyway: the piece is lost */
    PQfreemem(data);
    return 1;
  }
  if (size == -2) return lpgconnection_refuse(L, conn);
  if (size < 0) return 0;
  lua_pushboolean(L, 0);
  return 1;
}

/* connection:notification() -> channel, payload, process id; nothing when there is none */
static int connection_notification(lua_State *L) {
  PGnotify *notify = PQnotifies(lpgconnection_check_open(L));
  if (!notify) return 0;
  lua_pushstring(L, notify->relname);
  lua_pushstring(L, notify->extra);
  lua_pushinteger(L, notify->be_pid);
  PQfreemem(notify);
  return 3;
}

/* connection:quoted(name) -> an identifier for SQL */
static int connection_quoted(lua_State *L) {
  PGconn *conn = lpgconnection_check_open(L);
  size_t size;
  const char *name = luaL_checklstring(L, 2, &size);
  char *text = PQescapeIdentifier(conn, name, size);
  if (!text) return lpgconnection_refuse(L, conn);
  lua_pushstring(L, text);
  PQfreemem(text);
  return 1;
}

/* ---- cancelling ---------------------------------------------------------------------------------------------------
 */

/* connection:cancel() -> a cancellation: when its descriptor can be read, the server was asked | nil, reason */
static int connection_cancel(lua_State *L) {
  PGconn *conn = lpgconnection_check_open(L);
  int *fd = lua_newuserdatauv(L, sizeof *fd, 0);
  *fd = -1;
  luaL_setmetatable(L, CANCELLATION);
  PGcancel *cancel = PQgetCancel(conn);
  if (!cancel) return lpgconnection_refuse(L, conn);
  int started = braid_postgres_cancel(cancel);
  if (started < 0) {
    PQfreeCancel(cancel);
    lua_pushnil(L);
    lua_pushstring(L, strerror(-started));
    return 2;
  }
  *fd = started;
  return 1;
}

static int cancellation_fd(lua_State *L) {
  lua_pushinteger(L, *(int *)luaL_checkudata(L, 1, CANCELLATION));
  return 1;
}

static int cancellation_close(lua_State *L) {
  int *fd = luaL_checkudata(L, 1, CANCELLATION);
  if (*fd >= 0) close(*fd);
  *fd = -1;
  return 0;
}

/* ---- the module ---------------------------------------------------------------------------------------------------
 */

/* setup(json_decode, encode_table, misuse) */
static int setup(lua_State *L) {
  for (int i = 1; i <= 3; i++) luaL_checktype(L, i, LUA_TFUNCTION);
  lua_settop(L, 3);
  lpgerror_open(L);
  lpgconnection_set_helpers(L);
  return 0;
}

/* element(type) -> the type of an array's elements; 0 for any other type */
static int element(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)lpgtype_element((Oid)luaL_checkinteger(L, 1)));
  return 1;
}

static const luaL_Reg methods[] = {
    {"poll", connection_poll},
    {"fd", connection_fd},
    {"close", connection_close},
    {"shut", connection_shut},
    {"facts", connection_facts},
    {"reason", connection_reason},
    {"flush", connection_flush},
    {"pipeline", connection_pipeline},
    {"prepare", connection_prepare},
    {"send", connection_send},
    {"command", connection_command},
    {"send_script", connection_send_script},
    {"single_rows", connection_single_rows},
    {"consume", connection_consume},
    {"take", lpganswer_take},
    {"take_rows", lpganswer_take_rows},
    {"put", connection_put},
    {"put_end", connection_put_end},
    {"get", connection_get},
    {"notification", connection_notification},
    {"quoted", connection_quoted},
    {"cancel", connection_cancel},
    {"__gc", connection_close},
    {NULL, NULL},
};

static const luaL_Reg cancellation_methods[] = {
    {"fd", cancellation_fd}, {"close", cancellation_close}, {"__gc", cancellation_close}, {NULL, NULL}};

static const luaL_Reg functions[] = {{"parse", parse}, {"defaults", defaults}, {"start", start},
                                     {"setup", setup}, {"element", element},   {NULL, NULL}};

static void new_class(lua_State *L, const char *name, const luaL_Reg *functions_of) {
  if (luaL_newmetatable(L, name)) {
    luaL_setfuncs(L, functions_of, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
  }
  lua_pop(L, 1);
}

__attribute__((visibility("default"))) int luaopen_braid_postgres_core(lua_State *L);

int luaopen_braid_postgres_core(lua_State *L) {
  luaL_checkversion(L);
  new_class(L, LPGCONNECTION, methods);
  new_class(L, CANCELLATION, cancellation_methods);
  luaL_newlib(L, functions);
  return 1;
}
