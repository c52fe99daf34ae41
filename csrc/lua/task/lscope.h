/* SPDX-License-Identifier: MIT
 * Scopes that C code enters and leaves. The state's own thread; nothing blocks. */
#ifndef BRAID_LSCOPE_H
#define BRAID_LSCOPE_H

#include "lua/sched/lsched.h"

/* Makes, enters and pushes a scope with these flags (enum scope_flag) and this deadline, BRAID_NEVER or LARG_ONCE.
 * Raises when memory is out. */
struct scope *scope_push(lua_State *L, struct sched *sched, unsigned flags, int64_t deadline);

/* Leaves a scope of scope_push that was not cancelled and has neither children nor failures. Does not raise. */
void scope_leave(lua_State *L, struct sched *sched, struct scope *scope);

/* For a scope that is entered again and again, as a task that serves jobs does: makes and pushes one that is not
 * entered. It stays alive until scope_drop, or until Lua code leaves it. */
void scope_new(lua_State *L);
void scope_drop(lua_State *L, const struct scope *scope);

/* The current task enters the scope, with these flags (enum scope_flag). tree_leave leaves it. */
void scope_enter(struct sched *sched, struct scope *scope, unsigned flags);

/* Whether the scope, which the task is about to leave, has no children and is not cancelled, whether it is the task's
 * innermost one, and whether the task is not marked in any way: it was not cancelled, and has held no lock. */
bool scope_is_untouched(const struct scope *scope, const struct task *task);

#endif
