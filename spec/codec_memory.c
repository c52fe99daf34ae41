/* SPDX-License-Identifier: MIT
 * Memory runs out while values are sent and received, or become JSON and come of it: every allocation of a scenario
 * fails, once and from then on, the core's and Lua's alike (the Makefile links this program so that malloc, calloc,
 * realloc and free come here). Each time the scenario either succeeds or raises, the next one goes through, and the
 * closed state leaves nothing. */
#include <lauxlib.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/failing_memory.h"

int luaopen_braid_core(lua_State *L);

/* ---- scenarios: Lua code that returns a function -------------------------------------------------------------- */

struct scenario {
  const char *name, *code;
};

static const struct scenario scenarios[] = {
    {"values",
     "local text = ('x'):rep(3000)\n"
     "local value = { 1, 2.5, 'a', text, { text, [text] = { 1 } }, [1.5] = true, s = string.format }\n"
     "for i = 1, 40 do value[i] = { i, 'item' .. i } end\n"
     "value.self = value\n"
     "return function() local v = core.decode(core.encode(value)) assert(v.self == v and v[40][1] == 40) end"},
    {"deep", "local value = { bottom = true }\n"
             "for i = 1, 250 do value = { { value }, i } end\n"
             "return function() assert(core.decode(core.encode(value))[2] == 250) end"},
    {"functions",
     "local n = 0\n"
     "local function up() n = n + 1 return n end\n"
     "return function()\n"
     "  local a, b, c, d = core.decode(core.encode(up, function() return n end, function() end, load('return 7')))\n"
     "  assert(a() == b() and d() == 7)\n"
     "end"},
    {"objects", "local counter, lock = core.counter_new(), core.lock_new()\n"
                "return function()\n"
                "  local condition = core.condition_new(lock)\n"
                "  local a, b, c = core.decode(core.encode(counter, { condition }, lock))\n"
                "  assert(a == counter and b[1] == condition and b[1]:lock() == lock)\n"
                "end"},
    {"packed", "local class = {}\n"
               "class.__braid_pack = function(self) return function(a, b) return a + b[1] end, 1, { 2 } end\n"
               "return function() assert(core.decode(core.encode({ setmetatable({}, class) }))[1] == 3) end"},
    {"refused", "local long, co = ('x'):rep(3000), coroutine.create(print)\n"
                "local bad = { core.counter_new(), function() return long end, { [co] = 1 } }\n"
                "for i = 1, 120 do bad = { bad } end\n"
                "return function() assert(not pcall(core.encode, bad)) end"},
    {"a queue", "return function()\n"
                "  local queue = core.queue_new(0, 'fifo')\n"
                "  queue:try_put({ queue }) queue:try_put({ 'x' })\n"
                "  assert(core.decode(core.encode(queue)) == queue)\n"
                "  queue:try_put({ queue })\n"
                "  assert(queue:try_get()[1] == queue and queue:try_get()[1] == 'x')\n"
                "end"},
    {"strings in a queue", "local queue, text = core.queue_new(0, 'fifo'), ('x'):rep(1000)\n"
                           "core.encode(queue)\n"
                           "return function() while queue:try_get() do end\n"
                           "  queue:try_put(text) queue:try_put(text .. 'y')\n"
                           "  assert(queue:try_get() == text and #queue:try_get() == 1001)\n"
                           "end"},
    {"JSON", "local text = '{\"a\":[' .. ('{\"b\":[1.5,\"x\\\\u00e9' .. ('y'):rep(90) .. '\"]},'):rep(80) .. '[]]}'\n"
             "local deep = ('[{\"a\":'):rep(150) .. '1' .. ('}]'):rep(150)\n"
             "return function()\n"
             "  local value = core.json_decode(text)\n"
             "  assert(core.json_encode(value, nil, false, true) == core.json_encode(core.json_decode(\n"
             "    core.json_encode(value, nil, true)), nil, false, true))\n"
             "  assert(core.json_encode(core.json_decode(deep)) == deep)\n"
             "  assert(not pcall(core.json_decode, text .. ',') and not pcall(core.json_encode, { value, print }))\n"
             "end"},
    {"lists", "local list = core.json_decode('[1,[],3]')\n"
              "list[5] = 5 list.n = 4\n"
              "return function()\n"
              "  local there = core.decode(core.encode({ list, list }))[1]\n"
              "  assert(core.json_encode(there) == '[1,[],3,null,5]' and there.n == 5 and #there == 5)\n"
              "end"},
};

static const char PROLOGUE[] = "core = require 'braid.core'\n";

/* A state whose function 1 is the scenario. */
static lua_State *prepare(const struct scenario *scenario) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  luaL_requiref(L, "braid.core", luaopen_braid_core, 0);
  lua_settop(L, 0);
  if (luaL_dostring(L, PROLOGUE) || luaL_dostring(L, scenario->code)) {
    fprintf(stderr, "%s: %s\n", scenario->name, lua_tostring(L, -1));
    exit(1);
  }
  return L;
}

/* With allocation `which` failing. True when there was none. */
static bool attempt(const struct scenario *scenario, long which) {
  lua_State *L = prepare(scenario);
  memory.failed = false;
  lua_pushvalue(L, 1);
  memory.until_failure = which;
  int status = lua_pcall(L, 0, 0, 0);
  memory.until_failure = -1;
  if (status != LUA_OK && !memory.failed) {
    fprintf(stderr, "%s: %s\n", scenario->name, luaL_tolstring(L, -1, NULL));
    exit(1);
  }
  lua_settop(L, 1);
  lua_pushvalue(L, 1);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK) {
    fprintf(stderr, "%s, after allocation %ld: %s\n", scenario->name, which, luaL_tolstring(L, -1, NULL));
    exit(1);
  }
  bool none = !memory.failed;
  lua_close(L);
  return none;
}

static bool sweep(const struct scenario *scenario) {
  lua_close(prepare(scenario)); /* what is allocated once for the process */
  for (int mode = 0; mode < 2; mode++) {
    memory.for_good = mode == 1;
    for (long which = 0;; which++) {
      long before = memory.living;
      bool none = attempt(scenario, which);
      if (memory.living != before) {
        fprintf(stderr, "%s: %ld blocks left after allocation %ld failed\n", scenario->name, memory.living - before,
                which);
        return false;
      }
      if (none) break;
    }
  }
  return true;
}

int main(void) {
  int bad = 0, total = (int)(sizeof scenarios / sizeof *scenarios);
  for (int i = 0; i < total; i++) {
    bool good = sweep(&scenarios[i]);
    bad += !good;
    printf("%s - memory is out: %s\n", good ? "ok" : "not ok", scenarios[i].name);
  }
  printf("1..%d\n", total);
  return bad > 0;
}
