/* SPDX-License-Identifier: MIT
 * TLS for Lua: contexts, and the methods of descriptors that have it. The functions of csrc/core/tls come as a pointer,
 * the value of the module braid.tls_core, which lua/braid/io/tls.lua loads when TLS is first needed. */
#include "lua/io/ltls.h"

#include <lauxlib.h>
#include <sys/stat.h>

#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/base/lopen.h"
#include "lua/io/lfd.h"

#define CONTEXT "braid.tls_context"

/* ---- contexts ------------------------------------------------------------------------------------------------- */

struct holder {
  struct braid_tls_context *context;
};

struct braid_tls_context *ltls_check_context(lua_State *L, int index) {
  struct holder *holder = larg_object(L, index, CONTEXT);
  if (!holder->context) larg_error(L, index, "context", "a TLS context that is in use");
  return holder->context;
}

static int context_free(lua_State *L) {
  struct holder *holder = larg_object(L, 1, CONTEXT);
  if (holder->context) braid_tls_context_unref(holder->context);
  holder->context = NULL;
  return 0;
}

/* The fields of the table at index 2. Their strings live as long as the table, so they are popped. */
static const char *text_field(lua_State *L, const char *name, size_t *size) {
  lua_getfield(L, 2, name);
  const char *text = lua_tolstring(L, -1, size);
  lua_pop(L, 1);
  return text;
}

static bool flag_field(lua_State *L, const char *name) {
  lua_getfield(L, 2, name);
  bool flag = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return flag;
}

static int number_field(lua_State *L, const char *name) {
  lua_getfield(L, 2, name);
  int number = (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  return number;
}

static const char *text_at(lua_State *L, int table, int index) {
  lua_rawgeti(L, table, index);
  const char *text = lua_tostring(L, -1);
  lua_pop(L, 1);
  return text;
}

/* The list "identities": certificate and key in turn; a key may be false. Pushes a block that holds them. */
static void read_identities(lua_State *L, struct braid_tls_options *options) {
  lua_getfield(L, 2, "identities");
  int list = lua_gettop(L);
  unsigned count = lua_istable(L, list) ? (unsigned)lua_rawlen(L, list) / 2 : 0;
  struct braid_tls_identity *identities = lua_newuserdatauv(L, (count + 1) * sizeof *identities, 0);
  for (unsigned i = 0; i < count; i++) {
    identities[i].certificate = text_at(L, list, (int)(2 * i + 1));
    identities[i].key = text_at(L, list, (int)(2 * i + 2));
    if (!identities[i].certificate) larg_error(L, 2, "options", "certificates");
  }
  options->identities = identities;
  options->identity_count = count;
}

static int refuse(lua_State *L, const struct braid_tls_failure *failure, const char *what) {
  static const char *const kinds[] = {
      [BRAID_TLS_REFUSED] = "tls", [BRAID_TLS_CLOSED] = "closed", [BRAID_TLS_SYSTEM] = "system"};
  lua_pushnil(L);
  lerror_push(L, kinds[failure->kind], "%s: %s", what, failure->reason);
  if (failure->kind == BRAID_TLS_CLOSED) return 2;
  lua_pushinteger(L, failure->code);
  lua_setfield(L, -2, "code");
  if (failure->kind == BRAID_TLS_SYSTEM) return 2;
  lua_pushstring(L, failure->reason);
  lua_setfield(L, -2, "reason");
  return 2;
}

/* tls_context(functions, options) -> context | nil, err. The options are named as in struct braid_tls_options.
 * lua/braid/io/tls.lua has checked them. */
static int new_context(lua_State *L) {
  luaL_checktype(L, 1, LUA_TLIGHTUSERDATA);
  luaL_checktype(L, 2, LUA_TTABLE);
  size_t secret = 0;
  struct braid_tls_options options = {.server = flag_field(L, "server"),
                                      .verify = flag_field(L, "verify"),
                                      .close_notify_is_free = flag_field(L, "close_notify_is_free"),
                                      .resume = flag_field(L, "resume"),
                                      .demand = flag_field(L, "demand"),
                                      .any_name = flag_field(L, "any_name"),
                                      .least = number_field(L, "least"),
                                      .most = number_field(L, "most"),
                                      .password = text_field(L, "password", NULL),
                                      .ca_file = text_field(L, "ca_file", NULL),
                                      .ca_path = text_field(L, "ca_path", NULL),
                                      .ciphers = text_field(L, "ciphers", NULL),
                                      .secret = (const unsigned char *)text_field(L, "secret", &secret)};
  options.protocols = (const unsigned char *)text_field(L, "protocols", &options.protocols_size);
  if (options.secret && secret != BRAID_TLS_SECRET) larg_error(L, 2, "secret", "32 bytes");
  read_identities(L, &options);
  if (options.server && options.identity_count == 0) larg_error(L, 2, "options", "a certificate");
  struct holder *holder = lua_newuserdatauv(L, sizeof *holder, 0);
  holder->context = NULL;
  luaL_setmetatable(L, CONTEXT);
  struct braid_tls_failure failure;
  holder->context = braid_tls_context_new(lua_touserdata(L, 1), &options, &failure);
  return holder->context ? 1 : refuse(L, &failure, "tls");
}

/* ---- what was agreed ------------------------------------------------------------------------------------------ */

static void set_text(lua_State *L, const char *name, const char *text) {
  lua_pushstring(L, text); /* nil for NULL */
  lua_setfield(L, -2, name);
}

static void set_time(lua_State *L, const char *name, int64_t seconds) {
  lua_pushinteger(L, seconds);
  lua_setfield(L, -2, name);
}

static void push_certificate(lua_State *L, const struct braid_tls_certificate *certificate) {
  lua_createtable(L, 0, 6);
  set_text(L, "subject", certificate->subject);
  set_text(L, "issuer", certificate->issuer);
  set_text(L, "sha256", certificate->sha256);
  set_time(L, "not_before", certificate->not_before);
  set_time(L, "not_after", certificate->not_after);
  lua_createtable(L, (int)certificate->name_count, 0);
  for (unsigned i = 0; i < certificate->name_count; i++) {
    lua_pushstring(L, certificate->names[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "names");
}

/* Makes the table of the description at index 1. */
static int make_table(lua_State *L) {
  const struct braid_tls_info *info = lua_touserdata(L, 1);
  lua_createtable(L, 0, 6);
  set_text(L, "version", info->version);
  set_text(L, "cipher", info->cipher);
  set_text(L, "alpn", info->protocol);
  set_text(L, "server_name", info->server_name);
  lua_pushboolean(L, info->resumed);
  lua_setfield(L, -2, "resumed");
  if (!info->has_peer) return 1;
  push_certificate(L, &info->peer);
  lua_setfield(L, -2, "peer");
  return 1;
}

/* The description is freed also where Lua's memory runs out. */
static void push_description(lua_State *L, struct braid_tls *tls) {
  struct braid_tls_info info;
  lua_pushcfunction(L, make_table);
  if (!braid_tls_describe(tls, &info)) {
    lerror_memory(L);
    return;
  }
  lua_pushlightuserdata(L, &info);
  int status = lua_pcall(L, 1, 1, 0);
  braid_tls_forget(tls, &info);
  if (status != LUA_OK) lua_error(L);
}

static int fail(lua_State *L, struct braid_tls *tls, const char *what) {
  const struct braid_tls_failure *failure = braid_tls_failure(tls);
  int count = refuse(L, failure, what);
  if (failure->kind != BRAID_TLS_REFUSED) return count;
  push_description(L, tls);
  lua_getfield(L, -1, "peer");
  lua_setfield(L, -3, "peer");
  lua_pop(L, 1);
  return count;
}

/* ---- reading and writing -------------------------------------------------------------------------------------- */

static int events_of(enum braid_tls_status status) {
  if (status == BRAID_TLS_WANT_READ) return BRAID_READ;
  return status == BRAID_TLS_WANT_WRITE ? BRAID_WRITE : 0;
}

int ltls_read(lua_State *L, struct descriptor *descriptor, char *room, size_t size, int *events) {
  size_t count;
  enum braid_tls_status status = braid_tls_read(descriptor->tls, room, size, &count);
  *events = events_of(status);
  if (status == BRAID_TLS_FAILED) return fail(L, descriptor->tls, "stream:read");
  if (status != BRAID_TLS_DONE) return 0;
  lua_pushlstring(L, room, count);
  return 1;
}

int ltls_write(lua_State *L, struct descriptor *descriptor, const char *data, size_t size, int *events) {
  enum braid_tls_status status = BRAID_TLS_DONE;
  if (descriptor->unsent == 0 && size > 0) status = braid_tls_write(descriptor->tls, data, size, &descriptor->unsent);
  if (status == BRAID_TLS_DONE) status = braid_tls_flush(descriptor->tls);
  *events = events_of(status);
  if (*events) return 0;
  size_t count = descriptor->unsent;
  descriptor->unsent = 0;
  if (status != BRAID_TLS_DONE) return fail(L, descriptor->tls, "stream:write");
  lua_pushinteger(L, (lua_Integer)count);
  return 1;
}

void ltls_abandon(struct descriptor *descriptor) {
  if (descriptor->tls && descriptor->unsent > 0) braid_tls_cut(descriptor->tls);
  descriptor->unsent = 0;
}

void ltls_close(struct descriptor *descriptor) {
  if (!descriptor->tls) return;
  if (braid_loop_is_fork) braid_tls_cut(descriptor->tls); /* the connection is the parent's */
  braid_tls_close(descriptor->tls);
  descriptor->tls = NULL;
}

/* ---- beginning and ending ------------------------------------------------------------------------------------- */

/* start_tls(context, name or nil, session or nil): TLS begins, without a byte being sent; see braid_tls_open. */
static int descriptor_start_tls(lua_State *L) {
  struct descriptor *descriptor = lfd_check(L, 1);
  struct braid_tls_context *context = ltls_check_context(L, 2);
  const char *name = luaL_optstring(L, 3, NULL), *session = luaL_optstring(L, 4, NULL);
  if (descriptor->tls || !descriptor->socket || descriptor->fd < 0) lerror_misuse(L, "TLS cannot begin here");
  descriptor->tls = braid_tls_open(context, descriptor->fd, name, session);
  if (!descriptor->tls) return lerror_memory(L);
  lua_pushboolean(L, 1);
  return 1;
}

/* A step that is repeated until it is done: the handshake, or the end of writing. */
static int step_on(lua_State *L, enum braid_tls_status (*step)(struct braid_tls *), const char *what, lua_KFunction k) {
  struct descriptor *descriptor = lfd_check(L, 1);
  if (descriptor->fd < 0 || !descriptor->tls) return lerror_return(L, BRAID_CLOSED, what);
  enum braid_tls_status status = step(descriptor->tls);
  if (events_of(status)) return lfd_wait(L, &descriptor->writer, events_of(status), what, k);
  if (status == BRAID_TLS_FAILED) return fail(L, descriptor->tls, what);
  lua_pushboolean(L, 1);
  return 1;
}

/* After a wait of a step. True: it goes on. Else *count values were pushed. */
static bool step_again(lua_State *L, const char *what, int *count) {
  struct sched *sched = sched_of(L);
  struct descriptor *descriptor = lua_touserdata(L, 1);
  enum braid_status end = lfd_end(sched, &descriptor->writer);
  if (end == BRAID_OK) return true;
  *count = sched_stopped(end) ? sched_raise(L, sched, end) : lerror_return(L, end, what);
  return false;
}

static int handshake_k(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  int count;
  return step_again(L, "tls", &count) ? step_on(L, braid_tls_handshake, "tls", handshake_k) : count;
}

/* handshake(timeout) -> true | nil, err. Not while another task writes. Suspends. */
static int descriptor_handshake(lua_State *L) {
  struct sched *sched = sched_of(L);
  struct descriptor *descriptor = lfd_check(L, 1);
  lua_settop(L, 2);
  struct fd_wait *writer = lfd_begin(L, &descriptor->writer, "writing to");
  if (!sched_enter(L, sched)) return step_on(L, braid_tls_handshake, "tls", handshake_k);
  writer->busy = true;
  return sched_pass(L, sched, handshake_k, 0);
}

static int finish_k(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  int count;
  return step_again(L, "stream:shutdown", &count) ? step_on(L, braid_tls_finish, "stream:shutdown", finish_k) : count;
}

/* finish_tls(timeout) -> true | nil, err. Ends writing; not while another task writes. Suspends. */
static int descriptor_finish_tls(lua_State *L) {
  struct sched *sched = sched_of(L);
  struct descriptor *descriptor = lfd_check(L, 1);
  lua_settop(L, 2);
  struct fd_wait *writer = lfd_begin(L, &descriptor->writer, "writing to");
  if (!sched_enter(L, sched)) return step_on(L, braid_tls_finish, "stream:shutdown", finish_k);
  writer->busy = true;
  return sched_pass(L, sched, finish_k, 0);
}

/* tls() -> table; nil: there is no TLS. After the handshake. */
static int descriptor_tls(lua_State *L) {
  const struct descriptor *descriptor = lfd_check(L, 1);
  if (!descriptor->tls) return 0;
  push_description(L, descriptor->tls);
  return 1;
}

/* tls_pointer() -> the connection, for functions of braid.tls_core; nil: there is none. It is good as long as the
 * descriptor is open. */
static int descriptor_tls_pointer(lua_State *L) {
  const struct descriptor *descriptor = lfd_check(L, 1);
  if (!descriptor->tls) return 0;
  lua_pushlightuserdata(L, descriptor->tls);
  return 1;
}

/* context:pointer() -> the same for a context. */
static int context_pointer(lua_State *L) {
  lua_pushlightuserdata(L, ltls_check_context(L, 1));
  return 1;
}

/* has_tls() -> boolean. */
static int descriptor_has_tls(lua_State *L) {
  lua_pushboolean(L, lfd_check(L, 1)->tls != NULL);
  return 1;
}

/* file_state(path) -> a text that changes with the file; nil: there is no such file. */
static int file_state(lua_State *L) {
  struct stat facts;
  if (stat(larg_string(L, 1, "path", NULL), &facts)) return 0;
  lua_pushfstring(L, "%I %I %I %I.%I", (LUAI_UACINT)facts.st_dev, (LUAI_UACINT)facts.st_ino, (LUAI_UACINT)facts.st_size,
                  (LUAI_UACINT)facts.st_mtim.tv_sec, (LUAI_UACINT)facts.st_mtim.tv_nsec);
  return 1;
}

void ltls_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"tls_context", new_context}, {"file_state", file_state}, {NULL, NULL}};
  static const luaL_Reg context_methods[] = {{"__gc", context_free}, {"pointer", context_pointer}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"start_tls", descriptor_start_tls},
                                     {"handshake", descriptor_handshake},
                                     {"finish_tls", descriptor_finish_tls},
                                     {"tls", descriptor_tls},
                                     {"has_tls", descriptor_has_tls},
                                     {"tls_pointer", descriptor_tls_pointer},
                                     {NULL, NULL}};
  sched_class(L, CONTEXT, context_methods);
  lua_pop(L, 1);
  luaL_getmetatable(L, "braid.descriptor");
  sched_register(L, methods);
  lua_pop(L, 1);
  sched_register(L, functions);
}
