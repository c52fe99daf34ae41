/* SPDX-License-Identifier: MIT
 * A task that serves jobs. The worker's own thread. */
#ifndef BRAID_LWORKERSERVE_H
#define BRAID_LWORKERSERVE_H

#include <lua.h>

/* worker:serve(job, finish, handler) -> whether there may be more jobs. Suspends. */
int workerserve(lua_State *L);

#endif
