/* SPDX-License-Identifier: MIT
 * Descriptors that we own: non-blocking, closed on exec, at most one reader and one writer waiting at a time. The
 * state's own thread. */
#ifndef BRAID_LFD_H
#define BRAID_LFD_H

#include <lua.h>

struct descriptor;

/* Pushes a descriptor that is closed; nothing can be lost if this raises. */
struct descriptor *lfd_new(lua_State *L);

/* It owns `fd` from here on. Cannot fail. */
void lfd_adopt(struct descriptor *descriptor, int fd);

/* Ends the waits for it with BRAID_CLOSED. Nothing happens when it is closed. */
void lfd_close(struct descriptor *descriptor);

/* Two ends, the reading one first, that close themselves on exec; 0 or an error number. */
int lfd_pipe(int ends[2]);

#endif
