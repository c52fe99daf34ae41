/* SPDX-License-Identifier: MIT
 * The module braid.cluster_core: connections of the NATS C client, and signatures, for Lua. It is a separate module and
 * uses no scheduler, so a machine without libnats still has all of the rest. It never waits: the Lua layer waits for
 * the link's descriptor and then calls `turn`. The state's own thread; nothing blocks. */
#include <errno.h>
#include <lauxlib.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "core/cluster/nats_link.h"
#include "core/cluster/signature.h"

#define LINK "braid.cluster.link"
#define SIGNER "braid.cluster.signer"

enum { MOST_SUBSCRIPTIONS = 1024 };

struct link {
  struct braid_nats_link *core;                        /* NULL: it is closed */
  natsSubscription *subscriptions[MOST_SUBSCRIPTIONS]; /* NULL: a place that is free again */
  bool headed[MOST_SUBSCRIPTIONS];                     /* who subscribes wants to see a header */
  int count, turn;
  int heard; /* the place of the subscription that the core hears; -1: there is none */
};

static struct link *check_any(lua_State *L) { return luaL_checkudata(L, 1, LINK); }

static struct link *check(lua_State *L) {
  struct link *link = check_any(L);
  if (!link->core) luaL_error(L, "the link is closed");
  return link;
}

/* ---- opening ------------------------------------------------------------------------------------------------------
 */

/* The field of the table at 1 as a text; NULL when it is not there. It stays in the table. */
static const char *field(lua_State *L, const char *name) {
  lua_getfield(L, 1, name);
  const char *text = lua_tostring(L, -1);
  lua_pop(L, 1);
  return text;
}

static lua_Integer number(lua_State *L, const char *name, lua_Integer otherwise) {
  lua_getfield(L, 1, name);
  lua_Integer value = luaL_optinteger(L, -1, otherwise);
  lua_pop(L, 1);
  return value;
}

static bool flag(lua_State *L, const char *name) {
  lua_getfield(L, 1, name);
  bool set = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return set;
}

/* The addresses are in a userdata that stays on the stack. */
static natsStatus set_servers(lua_State *L, natsOptions *options) {
  lua_getfield(L, 1, "servers");
  luaL_checktype(L, -1, LUA_TTABLE);
  int count = (int)lua_rawlen(L, -1), list = lua_gettop(L);
  const char **servers = lua_newuserdatauv(L, sizeof *servers * (size_t)(count + 1), 0);
  for (int i = 0; i < count; i++) {
    lua_rawgeti(L, list, i + 1);
    servers[i] = luaL_checkstring(L, -1);
    lua_pop(L, 1);
  }
  return natsOptions_SetServers(options, servers, count);
}

static natsStatus set_credentials(lua_State *L, natsOptions *options) {
  const char *file = field(L, "credentials_file"), *user = field(L, "user"), *token = field(L, "token");
  const char *key = field(L, "nkey");
  natsStatus s = NATS_OK;
  if (file && key)
    s = natsOptions_SetNKeyFromSeed(options, key, file);
  else if (file)
    s = natsOptions_SetUserCredentialsFromFiles(options, file, NULL);
  if (s == NATS_OK && user) s = natsOptions_SetUserInfo(options, user, field(L, "password"));
  if (s == NATS_OK && token) s = natsOptions_SetToken(options, token);
  return s;
}

static natsStatus set_tls(lua_State *L, natsOptions *options) {
  const char *ca = field(L, "ca_file"), *cert = field(L, "cert"), *host = field(L, "server_name");
  natsStatus s = NATS_OK;
  if (!flag(L, "tls")) return s;
  s = natsOptions_SetSecure(options, true);
  if (s == NATS_OK && ca) s = natsOptions_LoadCATrustedCertificates(options, ca);
  if (s == NATS_OK && cert) s = natsOptions_LoadCertificatesChain(options, cert, field(L, "key"));
  if (s == NATS_OK && host) s = natsOptions_SetExpectedHostname(options, host);
  if (s == NATS_OK && flag(L, "unverified")) s = natsOptions_SkipServerVerification(options, true);
  return s;
}

/* The client's own pings are off: they would give up a server while this thread only computes. */
static natsStatus set_manners(lua_State *L, natsOptions *options) {
  natsStatus s = natsOptions_SetTimeout(options, number(L, "timeout", 2000));
  if (s == NATS_OK) s = natsOptions_SetName(options, field(L, "name"));
  if (s == NATS_OK) s = natsOptions_SetMaxReconnect(options, -1);
  if (s == NATS_OK) s = natsOptions_SetReconnectWait(options, 100);
  if (s == NATS_OK) s = natsOptions_SetReconnectJitter(options, 100, 200);
  if (s == NATS_OK) s = natsOptions_SetPingInterval(options, 0);
  if (s == NATS_OK) s = natsOptions_SetSendAsap(options, true); /* else a thread waits 1 ms for more */
  if (s == NATS_OK) s = natsOptions_SetMaxPendingMsgs(options, 1 << 20);
  return s;
}

/* open(settings) -> link | nil, reason. It begins to connect. */
static int open_link(lua_State *L) {
  natsOptions *options = NULL;
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  struct link *link = lua_newuserdatauv(L, sizeof *link, 0);
  memset(link, 0, sizeof *link);
  link->heard = -1;
  luaL_setmetatable(L, LINK);
  braid_nats_link_prepare();
  natsStatus s = natsOptions_Create(&options);
  if (s == NATS_OK) s = set_servers(L, options);
  if (s == NATS_OK) s = set_credentials(L, options);
  if (s == NATS_OK) s = set_tls(L, options);
  if (s == NATS_OK) s = set_manners(L, options);
  if (s != NATS_OK) {
    const char *told = nats_GetLastError(NULL);
    lua_pushnil(L);
    lua_pushstring(L, told && *told ? told : natsStatus_GetText(s));
    natsOptions_Destroy(options);
    return 2;
  }
  link->core = braid_nats_link_open(options);
  if (link->core) {
    lua_pushvalue(L, 2);
    return 1;
  }
  lua_pushnil(L);
  lua_pushstring(L, strerror(errno));
  return 2;
}

static int link_close(lua_State *L) {
  struct link *link = check_any(L);
  struct braid_nats_link *core = link->core;
  if (!core) return 0;
  natsSubscription **list = malloc(sizeof *list * MOST_SUBSCRIPTIONS);
  if (list) memcpy(list, link->subscriptions, sizeof *list * MOST_SUBSCRIPTIONS);
  link->core = NULL;
  braid_nats_link_close(core, list, list ? link->count : 0);
  return 0;
}

/* ---- its state ----------------------------------------------------------------------------------------------------
 */

/* link:fd() -> descriptor that is readable when `turn` has something to do */
static int link_fd(lua_State *L) {
  lua_pushinteger(L, braid_nats_link_fd(check(L)->core));
  return 1;
}

/* link:turn(): reads and writes what is possible */
static int link_turn(lua_State *L) {
  braid_nats_link_turn(check(L)->core);
  return 0;
}

/* link:state() -> "connecting", "connected", "lost", "closed"; epoch; reason */
static int link_state(lua_State *L) {
  static const char *const names[] = {"connecting", "connected", "lost", "closed"};
  struct link *link = check(L);
  lua_pushstring(L, names[braid_nats_link_state(link->core)]);
  lua_pushinteger(L, braid_nats_link_epoch(link->core));
  lua_pushstring(L, braid_nats_link_reason(link->core));
  return 3;
}

/* link:max_payload() -> bytes; nothing while it is not connected */
static int link_max_payload(lua_State *L) {
  natsConnection *client = braid_nats_link_client(check(L)->core);
  if (!client) return 0;
  lua_pushinteger(L, natsConnection_GetMaxPayload(client));
  return 1;
}

/* link:server() -> address of the server */
static int link_server(lua_State *L) {
  char url[512];
  natsConnection *client = braid_nats_link_client(check(L)->core);
  if (!client || natsConnection_GetConnectedUrl(client, url, sizeof url) != NATS_OK) return 0;
  lua_pushstring(L, url);
  return 1;
}

/* link:reset(): makes the client connect again */
static int link_reset(lua_State *L) {
  braid_nats_link_reset(check(L)->core);
  return 0;
}

/* ---- messages -----------------------------------------------------------------------------------------------------
 */

static int refuse(lua_State *L, natsStatus s) {
  lua_pushnil(L);
  lua_pushstring(L, s == NATS_CONNECTION_CLOSED ? "not connected" : natsStatus_GetText(s));
  return 2;
}

static natsStatus subscribe(struct link *link, natsConnection *client, const char *subject, bool heard, int place) {
  natsSubscription **made = &link->subscriptions[place];
  if (heard) link->heard = place;
  natsStatus s =
      heard ? braid_nats_link_hear(link->core, made, subject) : natsConnection_SubscribeSync(made, client, subject);
  return s == NATS_OK ? natsSubscription_SetPendingLimits(*made, -1, -1) : s;
}

/* link:subscribe(subject, how?) -> number of the subscription | nil, reason. How: "headed": `take` gives the sequence;
 * "heard": also messages that nobody is there to answer, at the cost of a thread between; for one subscription */
static int link_subscribe(lua_State *L) {
  struct link *link = check(L);
  const char *subject = luaL_checkstring(L, 2), *how = luaL_optstring(L, 3, "");
  natsConnection *client = braid_nats_link_client(link->core);
  if (!client) return refuse(L, NATS_CONNECTION_CLOSED);
  int place = 0;
  while (place < link->count && link->subscriptions[place]) place++;
  if (place == MOST_SUBSCRIPTIONS) return refuse(L, NATS_INSUFFICIENT_BUFFER);
  natsStatus s = subscribe(link, client, subject, strcmp(how, "heard") == 0, place);
  if (s != NATS_OK) return refuse(L, s);
  link->headed[place] = *how;
  if (place == link->count) link->count++;
  lua_pushinteger(L, place + 1);
  return 1;
}

/* link:unsubscribe(number): while the connection is lost, too, but then only what comes later is dropped by the caller
 */
static int link_unsubscribe(lua_State *L) {
  struct link *link = check(L);
  lua_Integer place = luaL_checkinteger(L, 2) - 1;
  luaL_argcheck(L, place >= 0 && place < link->count && link->subscriptions[place], 2, "no such subscription");
  if (!braid_nats_link_client(link->core)) return 0;
  natsSubscription_Destroy(link->subscriptions[place]);
  link->subscriptions[place] = NULL;
  lua_pushboolean(L, 1);
  return 1;
}

static natsStatus publish_headed(lua_State *L, natsConnection *client, const char *data, size_t size) {
  natsMsg *message = NULL;
  const char *id = lua_tostring(L, 5), *expected = lua_tostring(L, 6);
  natsStatus s = natsMsg_Create(&message, lua_tostring(L, 2), lua_tostring(L, 3), data, (int)size);
  if (s == NATS_OK && id) s = natsMsgHeader_Set(message, "Nats-Msg-Id", id);
  if (s == NATS_OK && expected) s = natsMsgHeader_Set(message, "Nats-Expected-Last-Subject-Sequence", expected);
  if (s == NATS_OK) s = natsConnection_PublishMsg(client, message);
  natsMsg_Destroy(message);
  return s;
}

/* link:publish(subject, reply or nil, data, id?, expected?) -> true | nil, reason. `id`: duplicates are dropped;
 * `expected`: the number of the subject's last message, else it is refused. */
static int link_publish(lua_State *L) {
  size_t size;
  struct link *link = check(L);
  const char *subject = luaL_checkstring(L, 2), *reply = luaL_optstring(L, 3, NULL);
  const char *data = luaL_checklstring(L, 4, &size);
  natsConnection *client = braid_nats_link_client(link->core);
  if (!client) return refuse(L, NATS_CONNECTION_CLOSED);
  if (size > INT32_MAX) return refuse(L, NATS_MAX_PAYLOAD);
  natsStatus s;
  lua_settop(L, 6);
  if (lua_isnil(L, 5) && lua_isnil(L, 6))
    s = reply ? natsConnection_PublishRequest(client, subject, reply, data, (int)size)
              : natsConnection_Publish(client, subject, data, (int)size);
  else
    s = publish_headed(L, client, data, size);
  if (s != NATS_OK) return refuse(L, s);
  lua_pushboolean(L, 1);
  return 1;
}

/* The next message of one subscription; NULL: there is none. A NATS_NO_RESPONDERS says that one of the requests whose
 * answers come there has no answer, but not which. */
static natsMsg *next_of(natsSubscription *subscription, natsStatus *status) {
  natsMsg *message = NULL;
  int waiting = 0;
  if (!subscription || natsSubscription_GetPending(subscription, &waiting, NULL) != NATS_OK || waiting == 0)
    return NULL;
  *status = natsSubscription_NextMsg(&message, subscription, 0);
  return *status == NATS_OK ? message : NULL;
}

/* The next message of any subscription, which take turns; NULL: there is none. */
static natsMsg *next_message(struct link *link, int *from, natsStatus *status) {
  natsMsg *message = NULL;
  if (link->heard >= 0 && (message = braid_nats_link_next_heard(link->core))) {
    *from = link->heard;
    return message;
  }
  for (int tries = 0; tries < link->count; tries++) {
    *from = link->turn;
    if (link->turn != link->heard) message = next_of(link->subscriptions[link->turn], status);
    if (message || *status == NATS_NO_RESPONDERS) return message;
    link->turn = (link->turn + 1) % link->count;
  }
  return NULL;
}

static void push_header(lua_State *L, natsMsg *message, const char *name) {
  const char *value = NULL;
  natsMsgHeader_Get(message, name, &value);
  lua_pushstring(L, value);
}

/* Argument 1: the message as a light userdata. Values as of link:take without the first one. */
static int push_message(lua_State *L) {
  natsMsg *message = lua_touserdata(L, 1);
  bool headed = lua_toboolean(L, 2);
  int size = natsMsg_GetDataLength(message);
  lua_pushstring(L, natsMsg_GetSubject(message));
  lua_pushstring(L, natsMsg_GetReply(message));
  lua_pushlstring(L, size > 0 ? natsMsg_GetData(message) : "", (size_t)size);
  if (size == 0)
    push_header(L, message, "Status");
  else
    lua_pushnil(L);
  if (headed) push_header(L, message, "Nats-Sequence");
  return headed ? 5 : 4;
}

/* link:take() -> number of the subscription, subject, reply or nil, data, status or nil, sequence or nil; nothing:
 * there is no message; the number alone: one of the questions whose answers come there has none. The status is a number
 * as text, "503". */
static int link_take(lua_State *L) {
  int from = 0;
  natsStatus status = NATS_OK;
  struct link *link = check(L);
  lua_settop(L, 0);
  luaL_checkstack(L, 10, NULL);
  lua_pushinteger(L, 0);
  lua_pushcfunction(L, push_message);
  natsMsg *message = next_message(link, &from, &status);
  if (!message && status != NATS_NO_RESPONDERS) return 0;
  if (!message) {
    lua_pushinteger(L, from + 1);
    return 1;
  }
  lua_pushlightuserdata(L, message);
  lua_pushboolean(L, link->headed[from]);
  int failed = lua_pcall(L, 2, LUA_MULTRET, 0);
  natsMsg_Destroy(message);
  if (failed) return lua_error(L);
  lua_pushinteger(L, from + 1);
  lua_replace(L, 1);
  return lua_gettop(L);
}

/* ---- signatures ---------------------------------------------------------------------------------------------------
 */

static struct braid_signature *check_signer(lua_State *L) { return luaL_checkudata(L, 1, SIGNER); }

static int signer_gc(lua_State *L) {
  braid_signature_term(check_signer(L));
  return 0;
}

/* signer(key) -> signer */
static int signer(lua_State *L) {
  size_t size;
  const char *key = luaL_checklstring(L, 1, &size);
  struct braid_signature *made = lua_newuserdatauv(L, sizeof *made, 0);
  memset(made, 0, sizeof *made);
  luaL_setmetatable(L, SIGNER);
  if (!braid_signature_init(made, key, size)) return luaL_error(L, "not enough memory");
  return 1;
}

static void sign(lua_State *L, unsigned char result[BRAID_SIGNATURE_SIZE]) {
  size_t size;
  const char *bytes = luaL_checklstring(L, 2, &size);
  if (!braid_signature_make(check_signer(L), bytes, size, result)) luaL_error(L, "not enough memory");
}

/* signer:sign(bytes) -> the 32 bytes of the signature */
static int signer_sign(lua_State *L) {
  unsigned char result[BRAID_SIGNATURE_SIZE];
  sign(L, result);
  lua_pushlstring(L, (const char *)result, sizeof result);
  return 1;
}

/* signer:check(bytes, signature) -> whether it is right. Takes the same time for every wrong one. */
static int signer_check(lua_State *L) {
  size_t size;
  unsigned char result[BRAID_SIGNATURE_SIZE];
  const char *given = luaL_checklstring(L, 3, &size);
  sign(L, result);
  lua_pushboolean(L, size == sizeof result && CRYPTO_memcmp(given, result, sizeof result) == 0);
  return 1;
}

/* digest(bytes) -> the 32 bytes of their SHA-256 */
static int digest(lua_State *L) {
  size_t size;
  unsigned char result[EVP_MAX_MD_SIZE];
  const char *bytes = luaL_checklstring(L, 1, &size);
  if (!EVP_Digest(bytes, size, result, NULL, EVP_sha256(), NULL)) return luaL_error(L, "not enough memory");
  lua_pushlstring(L, (const char *)result, BRAID_SIGNATURE_SIZE);
  return 1;
}

/* random(count) -> so many random bytes, at most 64 */
static int random_bytes(lua_State *L) {
  unsigned char bytes[64];
  lua_Integer count = luaL_checkinteger(L, 1);
  luaL_argcheck(L, count >= 0 && count <= (lua_Integer)sizeof bytes, 1, "0 to 64 expected");
  if (RAND_bytes(bytes, (int)count) != 1) return luaL_error(L, "the system has no random bytes");
  lua_pushlstring(L, (const char *)bytes, (size_t)count);
  return 1;
}

/* ---- the module ---------------------------------------------------------------------------------------------------
 */

static const luaL_Reg link_methods[] = {
    {"__gc", link_close},
    {"close", link_close},
    {"fd", link_fd},
    {"turn", link_turn},
    {"state", link_state},
    {"max_payload", link_max_payload},
    {"server", link_server},
    {"reset", link_reset},
    {"subscribe", link_subscribe},
    {"unsubscribe", link_unsubscribe},
    {"publish", link_publish},
    {"take", link_take},
    {NULL, NULL},
};

static const luaL_Reg signer_methods[] = {
    {"__gc", signer_gc}, {"sign", signer_sign}, {"check", signer_check}, {NULL, NULL}};

static void add_class(lua_State *L, const char *name, const luaL_Reg *methods) {
  luaL_newmetatable(L, name);
  luaL_setfuncs(L, methods, 0);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

__attribute__((visibility("default"))) int luaopen_braid_cluster_core(lua_State *L);

int luaopen_braid_cluster_core(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"open", open_link}, {"signer", signer}, {"digest", digest}, {"random", random_bytes}, {NULL, NULL}};
  add_class(L, LINK, link_methods);
  add_class(L, SIGNER, signer_methods);
  luaL_newlib(L, functions);
  return 1;
}
