/* SPDX-License-Identifier: MIT
 * A text that grows in memory of Lua. So an error leaks nothing, and memory limits of states count it. The first bytes
 * are in an array of the caller. The state's own thread. */
#ifndef BRAID_LJSONTEXT_H
#define BRAID_LJSONTEXT_H

#include <lua.h>
#include <string.h>

enum { JSONTEXT_OWN = 1024 };

struct jsontext {
  lua_State *L;
  int slot; /* index of the stack slot that keeps the memory alive */
  char *start, *at, *end;
};

/* Pushes the slot; `own` must live as long as the text. */
static inline void jsontext_open(struct jsontext *t, lua_State *L, char own[JSONTEXT_OWN]) {
  lua_pushnil(L);
  *t = (struct jsontext){L, lua_gettop(L), own, own, own + JSONTEXT_OWN};
}

void jsontext_grow(struct jsontext *t, size_t more);

/* Makes room for `more` bytes. Raises when memory is out. */
static inline void jsontext_need(struct jsontext *t, size_t more) {
  if ((size_t)(t->end - t->at) < more) jsontext_grow(t, more);
}

static inline void jsontext_byte(struct jsontext *t, char byte) {
  jsontext_need(t, 1);
  *t->at++ = byte;
}

static inline void jsontext_add(struct jsontext *t, const char *data, size_t size) {
  jsontext_need(t, size);
  memcpy(t->at, data, size);
  t->at += size;
}

#define jsontext_literal(t, text) jsontext_add(t, text, sizeof(text) - 1)

/* Pushes the text as a string, and empties it. */
static inline void jsontext_push(struct jsontext *t) {
  lua_pushlstring(t->L, t->start, (size_t)(t->at - t->start));
  t->at = t->start;
}

#endif
