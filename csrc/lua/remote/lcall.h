/* SPDX-License-Identifier: MIT
 * How Lua calls about a shared object that lives in another process: what all proxies have in common. The state's
 * thread. The object, or its method's first argument, is at 1. A wait that ends before its answer is there asks for one
 * and waits on: what the home says is what happened. */
#ifndef BRAID_LCALL_H
#define BRAID_LCALL_H

#include <lauxlib.h>

#include "core/process/proxy.h"
#include "lua/sched/lsched.h"

/* What becomes of an answer. `status` is BRAID_OK, or how the wait ended; `extra` and the item are the answer's. Pushes
 * the results; raises what it likes. A wait that was cancelled is raised before, except a condition's. It is also
 * called where there was no wait, because the object is gone. */
typedef int lcall_finisher(lua_State *L, struct sched *sched, enum braid_call_operation operation,
                           enum braid_status status, struct braid_item item, int64_t extra);

/* Makes the metatable of this kind of proxy. `of` is the class whose methods in Lua it has, too. */
void lcall_class(lua_State *L, enum braid_proxy_kind kind, const char *of, const luaL_Reg *methods,
                 lcall_finisher *finish);

/* The proxy at 1; raises when it is none of this kind. */
struct braid_proxy *lcall_check(lua_State *L, enum braid_proxy_kind kind);

/* Whoever runs, as the owner of locks. */
static inline uint64_t lcall_me(struct sched *sched) { return (uint64_t)(uintptr_t)sched->current; }

/* The value at `index` as an item that may go to another process; raises when it may not. */
struct braid_item lcall_item(lua_State *L, int index);

/* What is said besides the operation. */
struct lcall_words {
  struct braid_call call;
  const char *key; /* call.key_size bytes */
  struct braid_queue_cell cell;
  int64_t deadline;
  bool masked; /* it cannot be cancelled */
  bool asks;   /* it cannot return how it ended: raises where the object is gone */
};

/* Calls, waits for the answer and finishes. Uses the item up. Suspends. */
int lcall_perform(lua_State *L, struct braid_proxy *proxy, enum braid_call_operation operation,
                  struct lcall_words *words);

/* The same with a number and no item. Suspends. */
int lcall_wait(lua_State *L, struct braid_proxy *proxy, enum braid_call_operation operation, int64_t number,
               int64_t deadline);

/* For what does not suspend where the object lives: nor is it cancelled here, so that clean-up may use it. Suspends. */
int lcall_ask(lua_State *L, struct braid_proxy *proxy, enum braid_call_operation operation, int64_t number);

/* Without an answer. */
void lcall_tell(lua_State *L, struct braid_proxy *proxy, enum braid_call_operation operation, int64_t number);

/* The box of the lock's proxy, of a condition's or a dict's; kept in the user value of the box at 1. */
int lcall_push_lock(lua_State *L, struct braid_proxy *proxy);

/* For finishers: they push one value, or nil and an error. */
int lcall_push_boolean(lua_State *L, bool value);
int lcall_push_integer(lua_State *L, struct braid_item item);
int lcall_push_waited(lua_State *L, enum braid_status status, const char *what);

#endif
