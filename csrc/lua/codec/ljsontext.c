/* SPDX-License-Identifier: MIT */
#include "lua/codec/ljsontext.h"

#include <stdint.h>

#include "lua/base/lerror.h"

void jsontext_grow(struct jsontext *t, size_t more) {
  size_t used = (size_t)(t->at - t->start), room = (size_t)(t->end - t->start);
  if (more > SIZE_MAX / 4 || room > SIZE_MAX / 4) lerror_memory(t->L);
  while (room - used < more) room *= 2;
  char *memory = lua_newuserdatauv(t->L, room, 0);
  memcpy(memory, t->start, used);
  lua_replace(t->L, t->slot);
  t->start = memory;
  t->at = memory + used;
  t->end = memory + room;
}
