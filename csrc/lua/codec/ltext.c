/* SPDX-License-Identifier: MIT
 * The message that is being decoded belongs to a userdata of the state, so it is not lost if that raises. */
#include "lua/codec/ltext.h"

#include <lauxlib.h>
#include <string.h>

#include "lua/base/lerror.h"
#include "lua/codec/lencbuf.h"
#include "lua/codec/lwire.h"

enum {
  MOST_HEAD = 2 + (sizeof(size_t) * 8 + 6) / 7, /* the number of values, a tag, a size */
  SURE = 64 * 1024                              /* bytes of a string for which no limit is looked up */
};

/* A userdata with the message that is being decoded. */
struct taken {
  struct braid_message *message;
};

static const char TAKEN; /* registry key */

static void drop(struct taken *taken) {
  struct braid_message *message = taken->message;
  taken->message = NULL;
  if (message) braid_message_unref(message);
}

static int drop_last(lua_State *L) {
  drop(lua_touserdata(L, 1));
  return 0;
}

void ltext_open(lua_State *L) {
  struct taken *taken = lua_newuserdatauv(L, sizeof *taken, 0);
  taken->message = NULL;
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, drop_last);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &TAKEN);
}

struct braid_message *ltext_encode(lua_State *L, int index) {
  size_t size, count = 0;
  uint8_t head[MOST_HEAD];
  const char *text = lua_tolstring(L, index, &size);
  head[count++] = 1;
  head[count++] = WIRE_STRING;
  for (size_t left = size;; left >>= 7) {
    head[count++] = (uint8_t)(left > 0x7F ? left | 0x80 : left);
    if (left <= 0x7F) break;
  }
  if (size > SURE && !encbuf_allows(L, count + size)) return NULL;
  struct braid_message *message = braid_message_seal(NULL, count + size, NULL, 0);
  if (!message) {
    lerror_memory(L); /* does not return */
    return NULL;
  }
  memcpy(message->bytes, head, count);
  memcpy(message->bytes + count, text, size);
  return message;
}

/* Returns the beginning of the text; NULL: the message is not one string. */
static const char *text_of(const struct braid_message *message, size_t *size) {
  const uint8_t *at = (const uint8_t *)message->bytes, *end = at + message->size;
  if (message->size < 3 || at[0] != 1 || at[1] != WIRE_STRING) return NULL;
  at += 2;
  *size = 0;
  for (unsigned shift = 0; at < end && shift < sizeof *size * 8; shift += 7) {
    *size |= (size_t)(*at & 0x7F) << shift;
    if (*at++ < 0x80) return *size == (size_t)(end - at) ? (const char *)at : NULL;
  }
  return NULL;
}

/* A finalizer may run inside lua_pushlstring, and decode another message. By then this one's text is copied, so the
 * other message may replace it. */
bool ltext_take(lua_State *L, struct braid_message *message) {
  size_t size;
  const char *text = text_of(message, &size);
  if (!text) return false;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &TAKEN);
  struct taken *taken = lua_touserdata(L, -1);
  lua_pop(L, 1);
  drop(taken); /* left by a call that raised */
  taken->message = message;
  lua_pushlstring(L, text, size);
  drop(taken);
  return true;
}
