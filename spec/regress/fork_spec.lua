-- SPDX-License-Identifier: MIT
-- A library that forks gave the child a loop, threads and locks that were the parent's.
local helper = require "spec.helper"

-- What the child prints, and whether it and its parent come to their ends.
local function in_child(before, code)
  local start = os.time()
  local out, err, status = helper.lua_process(([[
    local braid = require "braid"
    local forker = require "forker"
    %s
    local pid = forker.fork()
    if pid == 0 then
      local ok, err = pcall(function() %s end)
      io.stdout:write(tostring(ok), " ", tostring(braid.is_error(err, "misuse")), " ", tostring(err), "\n")
      io.stdout:flush()
      os.exit(7, true)
    end
    print("child", forker.wait(pid))
    if pool then print("parent", pool:submit(function() return "goes on" end):result()) end
  ]]):format(before, code), { env = { ASAN_OPTIONS = "detect_leaks=0" } }) -- it would look for threads of the parent
  assert.equal("", err)
  assert.equal(0, status)
  assert.is_true(os.time() - start <= 3 * helper.slowness, "the end took long")
  return out
end

-- Both workers have begun: the child's exit moves the positions of files that are being read, such as modules.
local with_pool = [[
  pool = braid.thread_pool(2)
  local both = braid.barrier(2)
  local one, other = pool:submit(both.wait, both), pool:submit(both.wait, both)
  one:result()
  other:result()
  queue = braid.queue()
  pool:submit(function(q) q:put(1) end, queue):result()
]]

describe("a process forked from one that uses braid", function()
  local calls = {
    sleep = "braid.sleep(0.01)", run = "braid.run(function() end)", spawn = "braid.spawn(function() end)",
    queue = "queue:put(1)", submit = "pool:submit(function() end)", close = "pool:close()",
    thread_pool = "braid.thread_pool(1)", scope = "braid.scope(function() end)",
  }
  for name, call in pairs(calls) do
    helper.test("is refused with a reason: " .. name, function()
      local out = in_child(with_pool, call)
      assert.matches("^false true [^\n]*was forked from one that uses braid", out)
      assert.matches("\nchild\t7\nparent\tgoes on\n$", out)
    end)
  end

  helper.test("is refused without any thread, too", function()
    local out = in_child("braid.sleep(0)", "braid.sleep(0.01)")
    assert.matches("^false true [^\n]*was forked", out)
    assert.matches("child\t7\n$", out)
  end)

  helper.test("may use braid when it was not touched before", function()
    assert.matches("^true false nil\nchild\t7\n", in_child("", "braid.run(braid.sleep, 0.01)"))
  end)
end)
