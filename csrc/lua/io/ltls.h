/* SPDX-License-Identifier: MIT
 * TLS on our descriptors. The state's own thread; nothing blocks. */
#ifndef BRAID_LTLS_H
#define BRAID_LTLS_H

#include <lua.h>

#include "core/net/tls.h"

struct descriptor;

/* The context at `index`; raises if it is something else. It stays valid while the value does. */
struct braid_tls_context *ltls_check_context(lua_State *L, int index);

/* Reads through the TLS of a descriptor, into `room`. Sets *events, for which to wait before the next attempt, or to 0;
 * then it has pushed what `read` of lfd.c returns, and returns how many values. */
int ltls_read(lua_State *L, struct descriptor *descriptor, char *room, size_t size, int *events);

/* The same for `write`. */
int ltls_write(lua_State *L, struct descriptor *descriptor, const char *data, size_t size, int *events);

/* The wait of a write has ended early: what was taken and not sent is lost, so nothing may follow it. */
void ltls_abandon(struct descriptor *descriptor);

/* Ends TLS before the descriptor is closed. */
void ltls_close(struct descriptor *descriptor);

#endif
