/* SPDX-License-Identifier: MIT
 * Signatures of texts, for Lua. Any state; nothing blocks. */
#ifndef BRAID_LHMAC_H
#define BRAID_LHMAC_H

#include <lua.h>

/* Adds hmac_sha256 to the table at the top. */
void lhmac_open(lua_State *L);

#endif
