/* SPDX-License-Identifier: MIT
 * What becomes of a process that a job has forked (a C module may, as the init of a pool may): a copy of a worker
 * process, or of a process with worker threads, of which only the forking thread is there. It does what the job still
 * has to do, and ends with it: replies, the connection to the parent and all other jobs are the worker's business
 * (braid_loop_is_fork tells which of the two one is). */
#ifndef BRAID_LCOPY_H
#define BRAID_LCOPY_H

#include <lua.h>

#include "core/loop/loop.h"

/* Before a worker begins: what it has printed is written before each fork, so that not both write it. Any thread. */
void lcopy_prepare(void);

/* Ends this process, a copy. */
_Noreturn void lcopy_end(int status);

/* The same where the job's function has returned or failed; then its error is on the top of the stack, and told. */
_Noreturn void lcopy_end_job(lua_State *L, bool ok);

/* The status that the arguments of os.exit ask for. */
int lcopy_exit_status(lua_State *L);

#endif
