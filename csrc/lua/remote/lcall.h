/* SPDX-License-Identifier: MIT
 * Calls from Lua to a shared object in another process, its home; the common part of all kinds of proxies. The object
 * is at index 1: it is the first argument of the method. If a wait ends before the answer has come, it cancels the call
 * and waits for the home's answer, because only the home knows whether the operation happened. The state's own thread;
 * nothing blocks. */
#ifndef BRAID_LCALL_H
#define BRAID_LCALL_H

#include <lauxlib.h>

#include "core/process/proxy.h"
#include "lua/sched/lsched.h"

/* Pushes the results for an answer and returns their number; may raise. `status` is BRAID_OK, or how the wait ended;
 * `item` and `extra` are the answer's. If the wait was cancelled, that was raised before, except for conditions. Also
 * called without a wait, when the object is gone. */
typedef int lcall_finisher(lua_State *L, struct sched *sched, enum braid_call_operation operation,
                           enum braid_status status, struct braid_item item, int64_t extra);

/* Makes the metatable of this kind of proxy. It inherits the methods that are written in Lua from the class `of`. */
void lcall_class(lua_State *L, enum braid_proxy_kind kind, const char *of, const luaL_Reg *methods,
                 lcall_finisher *finish);

/* The proxy at 1; raises if it is not of this kind. */
struct braid_proxy *lcall_check(lua_State *L, enum braid_proxy_kind kind);

/* Identifies the running task as an owner of locks. */
static inline uint64_t lcall_me(struct sched *sched) { return (uint64_t)(uintptr_t)sched->current; }

/* Makes an item of the value at `index`. Raises if it may not be sent to another process. */
struct braid_item lcall_item(lua_State *L, int index);

/* The arguments of a call. */
struct lcall_words {
  struct braid_call call;
  const char *key; /* call.key_size bytes */
  struct braid_queue_cell cell;
  int64_t deadline;
  bool masked; /* it cannot be cancelled */
  bool asks;   /* its results cannot report an error: it raises if the object is gone */
};

/* Makes the call, waits for the answer and calls the finisher. Drops the item. Suspends. */
int lcall_perform(lua_State *L, struct braid_proxy *proxy, enum braid_call_operation operation,
                  struct lcall_words *words);

/* The same with a number and without an item. Suspends. */
int lcall_wait(lua_State *L, struct braid_proxy *proxy, enum braid_call_operation operation, int64_t number,
               int64_t deadline);

/* For operations that do not suspend in the object's own process. They cannot be cancelled here either, so clean-up
 * code may use them. Suspends. */
int lcall_ask(lua_State *L, struct braid_proxy *proxy, enum braid_call_operation operation, int64_t number);

/* Makes a call that has no answer. */
void lcall_tell(lua_State *L, struct braid_proxy *proxy, enum braid_call_operation operation, int64_t number);

/* Pushes the box of the lock's proxy, for a condition or a dict. The box at 1 keeps it in its user value. */
int lcall_push_lock(lua_State *L, struct braid_proxy *proxy);

/* For finishers: they push one value, or nil and an error, and return the number. */
int lcall_push_boolean(lua_State *L, bool value);
int lcall_push_integer(lua_State *L, struct braid_item item);
int lcall_push_waited(lua_State *L, enum braid_status status, const char *what);

#endif
