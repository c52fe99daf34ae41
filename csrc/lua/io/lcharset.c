/* SPDX-License-Identifier: MIT
 * Text in another charset. For lua/braid/http/response.lua. */
#include <lauxlib.h>
#include <string.h>

#include "core/http/charset.h"
#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/base/lopen.h"
#include "lua/sched/lsched.h"

#define TEXT "braid.decoded_text"

static int text_free(lua_State *L) {
  braid_buffer_term(lua_touserdata(L, 1));
  return 0;
}

/* text_decode(text, charset) -> the text in UTF-8 | nothing: the charset is unknown. Does not suspend. */
static int decode(lua_State *L) {
  size_t size, length;
  const char *text = larg_string(L, 1, "text", &size), *charset = larg_string(L, 2, "charset", &length);
  struct braid_buffer *out = lua_newuserdatauv(L, sizeof *out, 0); /* frees the text if there is no room for its copy */
  braid_buffer_init(out);
  luaL_setmetatable(L, TEXT);
  enum braid_charset_result result = BRAID_CHARSET_UNKNOWN;
  if (strlen(charset) == length) result = braid_charset_decode(charset, text, size, out);
  if (result == BRAID_CHARSET_NO_MEMORY) return lerror_memory(L);
  if (result == BRAID_CHARSET_UNKNOWN) return 0;
  lua_pushlstring(L, out->data ? out->data : "", out->size);
  braid_buffer_term(out);
  return 1;
}

void lcharset_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"text_decode", decode}, {NULL, NULL}};
  static const luaL_Reg texts[] = {{"__gc", text_free}, {NULL, NULL}};
  sched_register(L, functions);
  sched_class(L, TEXT, texts);
  lua_pop(L, 1);
}
