/* SPDX-License-Identifier: MIT
 * A signal handler may arm the hook between any two lines here. So the user's hook is saved before braid's is set, and
 * its entry is freed before the user's is set again. */
#include "lua/sched/lhook.h"

static const char STORE; /* its address is the registry's key */

/* The hook of every state and coroutine: its address tells it from the user's. */
static void on_hook(lua_State *L, lua_Debug *ar) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &STORE);
  struct hook_store *store = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (store->leaving == L) {
    store->leaving = NULL;
    hook_disarm(store, L);
    store->leave(L, ar);
  }
  store->act(L, ar);
}

void hook_open(lua_State *L, struct hook_store *store, lua_Hook act, lua_Hook leave) {
  store->act = act;
  store->leave = leave;
  lua_pushlightuserdata(L, store);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &STORE);
}

bool hook_is_armed(lua_State *co) { return lua_gethook(co) == on_hook; }

static struct hook_saved hook_of(lua_State *co) {
  return (struct hook_saved){co, lua_gethook(co), lua_gethookmask(co), lua_gethookcount(co)};
}

/* The user's hook of a coroutine in which braid's is armed. `take` frees the entry. */
static struct hook_saved saved_hook(struct hook_store *store, lua_State *co, bool take) {
  struct hook_saved found = {.co = co};
  for (int i = 0; i < HOOK_MOST; i++) {
    if (store->saved[i].co != co) continue;
    found = store->saved[i];
    if (take) store->saved[i].co = NULL;
  }
  return found;
}

void hook_arm(struct hook_store *store, lua_State *co, int mask, int count) {
  if (!hook_is_armed(co)) {
    saved_hook(store, co, true); /* an entry of a former coroutine at the same address */
    if (lua_gethook(co)) store->saved[store->next++ % HOOK_MOST] = hook_of(co);
  }
  lua_sethook(co, on_hook, mask, count);
}

void hook_disarm(struct hook_store *store, lua_State *co) {
  if (!hook_is_armed(co)) return;
  struct hook_saved user = saved_hook(store, co, true);
  lua_sethook(co, user.hook, user.mask, user.count);
}

void hook_share(struct hook_store *store, lua_State *from, lua_State *co) {
  if (hook_is_armed(from) && !hook_is_armed(co)) hook_arm(store, co, lua_gethookmask(from), lua_gethookcount(from));
}

void hook_inherit(struct hook_store *store, lua_State *from, lua_State *co) {
  if (!lua_gethook(from) && !lua_gethook(co)) return;
  struct hook_saved user = hook_is_armed(from) ? saved_hook(store, from, false) : hook_of(from);
  lua_sethook(co, user.hook, user.mask, user.count);
}

bool hook_end(struct hook_store *store, lua_State *co) {
  if (!lua_gethook(co)) return true;
  hook_disarm(store, co);
  return lua_gethook(co) == NULL;
}
