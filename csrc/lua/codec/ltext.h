/* SPDX-License-Identifier: MIT
 * A fast path for messages of one string: the bytes are copied once into the message, and once into the
 * receiver's string. The wire format is that of lencode.c and ldecode.c. The state's own thread; nothing blocks. */
#ifndef BRAID_LTEXT_H
#define BRAID_LTEXT_H

#include <lua.h>

#include "core/sync/message.h"

/* Prepares the state. Raises when memory is out. */
void ltext_open(lua_State *L);

/* Encodes the string at `index`; the caller owns the message. NULL: it is longer than a message may be. Raises when
 * memory is out. */
struct braid_message *ltext_encode(lua_State *L, int index);

/* If the message is one string, pushes the string and drops the message, even if it raises because memory is out.
 * Returns false for any other message, which the caller keeps. */
bool ltext_take(lua_State *L, struct braid_message *message);

#endif
