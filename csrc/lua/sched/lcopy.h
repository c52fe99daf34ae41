/* SPDX-License-Identifier: MIT
 * A copy: a process that a job forked (a C module may fork, so may the `init` of a pool). It is a copy of a worker
 * process, or of a process with worker threads, and only the forking thread exists in it. A copy finishes the running
 * job and ends. Replies, the connection to the parent and all other jobs belong to the worker. braid_loop_is_fork is
 * true in a copy. */
#ifndef BRAID_LCOPY_H
#define BRAID_LCOPY_H

#include <lua.h>

#include "core/loop/loop.h"

/* Called before a worker starts. From then on each fork first flushes stdout, so that not both processes write its
 * buffer. Any thread. */
void lcopy_prepare(void);

/* Ends this process, which is a copy. Does not run atexit handlers. */
_Noreturn void lcopy_end(int status);

/* The same after the job's function has returned or failed. If it failed, the error is on the top of the stack, and is
 * written to stderr. */
_Noreturn void lcopy_end_job(lua_State *L, bool ok);

/* The exit status for the arguments of os.exit. */
int lcopy_exit_status(lua_State *L);

#endif
