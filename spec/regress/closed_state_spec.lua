-- SPDX-License-Identifier: MIT
-- A host that closes its Lua state and lives on met handlers of signals in a library that was no longer there.
local helper = require "spec.helper"

local SIGNALS = [[
  local braid = require "braid"
  local pool = braid.thread_pool(1)
  local queue = braid.queue()
  pcall(braid.http.get, "http://127.0.0.1:1/", { timeout = 1 })
  pool:submit(function(q) for _ = 1, 1e5 do end q:put(1) end, queue)
  braid.run(function()
    queue:get()
    pcall(function() braid.spawn(error, "x"):result() end)
  end)
  braid.dump(false)
  keep = { pool, queue, braid.lock(), braid.spawn(function() braid.sleep(100) end) }
]]

-- Tasks that wait for objects that others share, and finalizers that use objects, when the state is closed.
local FINALIZERS = [[
  local braid = require "braid"
  local pool = braid.thread_pool(2)
  local queue, lock, event, condition = braid.queue(1), braid.lock(), braid.event(), braid.condition()
  for _ = 1, 4 do
    pool:submit(function(queue, lock, event)
      lock:acquire(0.001)
      queue:put(1, 0.001)
      event:wait(0.002)
      queue:get(0.001)
      event:set()
    end, queue, lock, event)
    braid.spawn(function() while true do queue:get() end end)
    braid.spawn(function() lock:acquire() event:wait() end)
    braid.spawn(function() condition:acquire() condition:wait() end)
  end
  braid.sleep(0.002)
  keep = { pool, queue, lock, event, condition, braid.array("f64", 10), braid.semaphore(1), braid.barrier(2) }
  for _ = 1, 5 do
    local own = braid.queue()
    setmetatable({ pool }, { __gc = function(this)
      own:try_put(1)
      queue:try_get()
      event:set()
      this[1]:stats()
      pcall(braid.spawn, braid.sleep, 0.001)
    end })
  end
]]

local BUILD = "cc -O1 $(pkg-config --cflags lua5.4 2>/dev/null || echo -I/usr/include/lua5.4) spec/closer.c -o %s "
  .. "$(pkg-config --libs lua5.4 2>/dev/null || echo -llua5.4) -lpthread 2>/dev/null"

-- A state that is closed before it has given its signals back. That of a terminal's size does nothing else.
local WATCHED = [[
  kept = require "braid".signals("WINCH")
]]
local SIGWINCH = 28

describe("a host that opens and closes states while signals arrive lives on:", function()
  local scripts = {
    ["pools and requests"] = SIGNALS, ["tasks that wait, and finalizers"] = FINALIZERS,
    ["signals that are watched"] = WATCHED,
  }
  for what, code in pairs(scripts) do
    for _, threads in ipairs { 0, 1, 4 } do
      helper.test(("%s, %d threads"):format(what, threads), function()
        if os.getenv "BRAID_LUA" then return pending "a sanitized module loads into no other program" end
        local program, script = os.tmpname(), os.tmpname()
        finally(function()
          os.remove(program)
          os.remove(script)
        end)
        local file <close> = assert(io.open(script, "w"))
        file:write(code)
        file:close()
        if not os.execute(BUILD:format(program)) then return pending "there is no compiler, or no Lua to link" end
        local pipe <close> = io.popen(("timeout 50 %s %s %d 3 %s 2>&1"):format(program, script, threads,
          code == WATCHED and SIGWINCH or ""))
        assert.equal("ok\n", pipe:read "a")
      end, { deadline = 60 })
    end
  end
end)
