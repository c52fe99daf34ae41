/* SPDX-License-Identifier: MIT
 * The module braid.websocket_core: the WebSocket protocol for Lua. It is a separate module and uses no scheduler, so
 * wslay and zlib are loaded only where a WebSocket is used. The state's own thread; nothing blocks. */
#include <lauxlib.h>
#include <lua.h>
#include <string.h>
#include <sys/random.h>

#include "core/websocket/sha1.h"
#include "core/websocket/text_check.h"
#include "core/websocket/websocket.h"

static struct braid_websocket *self(lua_State *L) {
  return ((struct braid_websocket_codec *)luaL_checkudata(L, 1, BRAID_WEBSOCKET_CODEC))->ws;
}

static int no_memory(lua_State *L) { return luaL_error(L, "not enough memory"); }

static struct braid_deflate_terms check_terms(lua_State *L, int index) {
  return (struct braid_deflate_terms){(int)luaL_checkinteger(L, index), lua_toboolean(L, index + 1)};
}

/* new(server, max_message, out_window, out_takeover, in_window, in_takeover) -> codec. Without the windows: messages
 * are not compressed. */
static int codec_new(lua_State *L) {
  struct braid_websocket_options options = {
      .role = lua_toboolean(L, 1) ? BRAID_WEBSOCKET_SERVER : BRAID_WEBSOCKET_CLIENT,
      .max_message = (size_t)luaL_checkinteger(L, 2),
      .deflate = !lua_isnoneornil(L, 3),
  };
  if (options.deflate) {
    options.out = check_terms(L, 3);
    options.in = check_terms(L, 5);
  }
  struct braid_websocket_codec *codec = lua_newuserdatauv(L, sizeof *codec, 0);
  *codec = (struct braid_websocket_codec){.functions = &braid_websocket_functions};
  luaL_setmetatable(L, BRAID_WEBSOCKET_CODEC);
  codec->ws = braid_websocket_new(&options);
  return codec->ws ? 1 : no_memory(L);
}

static int codec_gc(lua_State *L) {
  struct braid_websocket_codec *codec = luaL_checkudata(L, 1, BRAID_WEBSOCKET_CODEC);
  braid_websocket_free(codec->ws);
  codec->ws = NULL;
  return 0;
}

/* codec:feed(bytes): what came in */
static int codec_feed(lua_State *L) {
  size_t size;
  const char *data = luaL_checklstring(L, 2, &size);
  return braid_websocket_feed(self(L), data, size) ? 0 : no_memory(L);
}

static int push_event(lua_State *L, const struct braid_websocket_event *event) {
  static const char *const kinds[] = {[BRAID_WEBSOCKET_TEXT] = "text",
                                      [BRAID_WEBSOCKET_BINARY] = "binary",
                                      [BRAID_WEBSOCKET_PONG] = "pong",
                                      [BRAID_WEBSOCKET_CLOSE] = "close",
                                      [BRAID_WEBSOCKET_FAILURE] = "failed"};
  lua_pushlstring(L, event->data, event->size);
  lua_pushstring(L, kinds[event->kind]);
  if (!event->code) return 2;
  lua_pushinteger(L, event->code);
  return 3;
}

/* codec:next() -> data, "text" | data, "binary" | payload, "pong" | reason, "close", code | what the peer did wrong,
 * "failed", code; nothing: all bytes are used up */
static int codec_next(lua_State *L) {
  struct braid_websocket_event event;
  if (braid_websocket_next(self(L), &event) != BRAID_OK) return no_memory(L);
  return event.kind == BRAID_WEBSOCKET_NOTHING ? 0 : push_event(L, &event);
}

static int push_output(lua_State *L, enum braid_status status) {
  size_t size;
  if (status == BRAID_NO_MEMORY) return no_memory(L);
  if (status != BRAID_OK) return 0;
  const char *data = braid_websocket_output(self(L), &size);
  lua_pushlstring(L, data ? data : "", size);
  return 1;
}

/* codec:text(data), :binary(data), :ping(payload) -> bytes to send, after the answers that wait; nothing: it is closed;
 * false: the text is not UTF-8 */
static int codec_text(lua_State *L) {
  size_t size, checked = 0;
  const char *data = luaL_checklstring(L, 2, &size);
  if (!braid_text_check(data, size, &checked) || checked < size) {
    lua_pushboolean(L, 0);
    return 1;
  }
  return push_output(L, braid_websocket_send(self(L), BRAID_WEBSOCKET_TEXT, data, size));
}

static int codec_binary(lua_State *L) {
  size_t size;
  const char *data = luaL_checklstring(L, 2, &size);
  return push_output(L, braid_websocket_send(self(L), BRAID_WEBSOCKET_BINARY, data, size));
}

static int codec_ping(lua_State *L) {
  size_t size;
  const char *data = luaL_checklstring(L, 2, &size);
  luaL_argcheck(L, size <= BRAID_WEBSOCKET_MOST_CONTROL, 2, "too long");
  return push_output(L, braid_websocket_ping(self(L), data, size));
}

/* codec:close(code, reason): the close frame is an answer from now on; without a code it is empty. Does nothing if
 * there was one. */
static int codec_close(lua_State *L) {
  size_t size;
  lua_Integer code = luaL_optinteger(L, 2, BRAID_CLOSE_NO_CODE);
  const char *reason = luaL_optlstring(L, 3, "", &size);
  braid_websocket_close(self(L), (unsigned)code, reason, size);
  return 0;
}

/* codec:is_closing() -> whether a close frame was sent, or waits as an answer */
static int codec_is_closing(lua_State *L) {
  lua_pushboolean(L, braid_websocket_is_closing(self(L)));
  return 1;
}

/* codec:has_answer() -> whether answers wait to be sent */
static int codec_has_answer(lua_State *L) {
  lua_pushboolean(L, braid_websocket_has_answer(self(L)));
  return 1;
}

/* codec:answer() -> the bytes of the answers that wait */
static int codec_answer(lua_State *L) { return push_output(L, braid_websocket_answer(self(L))); }

/* ---- functions ------------------------------------------------------------------------------------------------ */

/* digest(bytes) -> 20 bytes of SHA-1 */
static int digest(lua_State *L) {
  size_t size;
  const char *data = luaL_checklstring(L, 1, &size);
  unsigned char bytes[BRAID_SHA1_SIZE];
  braid_sha1(data, size, bytes);
  lua_pushlstring(L, (const char *)bytes, sizeof bytes);
  return 1;
}

/* nonce() -> 16 random bytes */
static int nonce(lua_State *L) {
  char bytes[16];
  if (getentropy(bytes, sizeof bytes)) return luaL_error(L, "the system gives no random bytes");
  lua_pushlstring(L, bytes, sizeof bytes);
  return 1;
}

/* is_utf8(text) */
static int is_utf8(lua_State *L) {
  size_t size, checked = 0;
  const char *text = luaL_checklstring(L, 1, &size);
  lua_pushboolean(L, braid_text_check(text, size, &checked) && checked == size);
  return 1;
}

/* code_is_valid(code) -> whether a close may have it */
static int code_is_valid(lua_State *L) {
  lua_Integer code = luaL_checkinteger(L, 1);
  lua_pushboolean(L, code > 0 && code <= UINT16_MAX && braid_websocket_code_is_valid((unsigned)code));
  return 1;
}

__attribute__((visibility("default"))) int luaopen_braid_websocket_core(lua_State *L);

int luaopen_braid_websocket_core(lua_State *L) {
  static const luaL_Reg methods[] = {{"feed", codec_feed},
                                     {"next", codec_next},
                                     {"text", codec_text},
                                     {"binary", codec_binary},
                                     {"ping", codec_ping},
                                     {"close", codec_close},
                                     {"is_closing", codec_is_closing},
                                     {"has_answer", codec_has_answer},
                                     {"answer", codec_answer},
                                     {"__gc", codec_gc},
                                     {NULL, NULL}};
  static const luaL_Reg functions[] = {
      {"new", codec_new}, {"digest", digest}, {"nonce", nonce}, {"is_utf8", is_utf8}, {"code_is_valid", code_is_valid},
      {NULL, NULL}};
  luaL_newmetatable(L, BRAID_WEBSOCKET_CODEC);
  luaL_setfuncs(L, methods, 0);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  luaL_newlib(L, functions);
  return 1;
}
