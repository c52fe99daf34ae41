/* SPDX-License-Identifier: MIT
 * Messages that are one string: the bytes are copied once into the message, and once into the string that comes of it.
 * What they say is what lencode writes and ldecode reads. The state's own thread; nothing blocks. */
#ifndef BRAID_LTEXT_H
#define BRAID_LTEXT_H

#include <lua.h>

#include "core/sync/message.h"

/* Readies the state. May raise for want of memory. */
void ltext_open(lua_State *L);

/* The string at `index` as a message, which is the caller's; NULL: it is longer than a message may be. Raises when
 * memory is out. */
struct braid_message *ltext_encode(lua_State *L, int index);

/* Pushes the string that the message is, and uses the message up, also when it raises for want of memory. False: it is
 * something else, and still the caller's. */
bool ltext_take(lua_State *L, struct braid_message *message);

#endif
