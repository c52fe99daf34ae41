-- SPDX-License-Identifier: MIT
-- A sandbox answers calls that it does not know by EPERM, an older system by ENOSYS. The loop of a process under such a
-- sandbox span without an end, and its worker processes did not start.
local assert = require "luassert"
local busted = require "busted"
local helper = require "spec.helper"

local test, describe = helper.test, busted.describe

local SCRIPT = [[
  local braid = require "braid"
  local sandbox = require "sandbox"

  local function put(queue, array)
    queue:put(array and array[2] or 2)
    return 1
  end

  local function work()
    local queue, array = braid.queue(), braid.array("i64", { 1, 2 })
    local used = os.clock()
    braid.sleep(0.1)
    assert(os.clock() - used < 0.09, "the sleep was no sleep")
    local threads <close> = braid.thread_pool { workers = 2 }
    local processes <close> = braid.process_pool { workers = 1 }
    assert(threads:submit(put, queue):result() == 1 and queue:get() == 2)
    assert(processes:submit(put, queue, array):result() == 1 and queue:get() == 2)
    assert(braid.process.run({ "true" }).code == 0)
    local app = braid.web.app()
    app:static("/files", "lua/braid")
    local server <close> = assert(app:start { port = 0 })
    assert(braid.http.get(server.url .. "/files/init.lua").status == 200)
    return "done"
  end

  assert(sandbox.deny(arg[1], arg[2]), "no filter can be set")
  print(select(2, pcall(braid.run, work)))
]]

local FALLEN_BACK = {
  "close_range", "epoll_pwait2", "madvise", "memfd_create", "openat2", "pidfd_open", "pidfd_send_signal",
  "sched_getaffinity", "sched_setaffinity", "timer_create",
}

local NEEDED_BY_SANITIZERS = { madvise = true, sched_getaffinity = true }

describe("where the system refuses", function()
  for _, call in ipairs(FALLEN_BACK) do
    test(call .. " braid does without it", function()
      if NEEDED_BY_SANITIZERS[call] and os.getenv "BRAID_LUA" then return busted.pending "a sanitizer needs it" end
      for _, reason in ipairs { "EPERM", "ENOSYS" } do
        local out, err = helper.lua_process(SCRIPT, { args = { reason, call } })
        assert.equal("done\n", out, err)
      end
    end, { deadline = 20 })
  end

  test("clone3 threads are started without it, or the refusal is told", function()
    assert.equal("done\n", (helper.lua_process(SCRIPT, { args = { "ENOSYS", "clone3" } })))
    local out = helper.lua_process(SCRIPT, { args = { "EPERM", "clone3" } }) -- glibc does not try the older call then
    if out ~= "done\n" then assert.equal("the threads could not be started: Operation not permitted\n", out) end
  end, { deadline = 20 })

  test("timer_create a pool with a time limit is refused", function()
    local out = helper.lua_process([[
      local braid = require "braid"
      require("sandbox").deny("EPERM", "timer_create")
      braid.run(function()
        local pool <close> = braid.thread_pool { workers = 1, time_limit = 1 }
        local future = pool:submit(function() return "done" end)
        print(select(2, pcall(future.result, future)))
      end)
    ]])
    assert.equal("the timer for time_limit could not be made: Operation not permitted\n", out)
  end)
end)
