-- SPDX-License-Identifier: MIT
-- Numbers of what a state does.
local expect = require "spec.expect"
local helper = require "spec.helper"
local scripted = require "spec.scripted_server"
local braid = require "braid"
local test, answer = helper.test, scripted.answer

-- The pool of this name in the metrics.
local function pool_named(metrics, name)
  for _, pool in ipairs(metrics.pools) do
    if pool.name == name then return pool end
  end
end

describe("metrics", function()
  test("count tasks, jobs and requests", scripted.with(function() return answer(200, "ok") end, function(base)
    local before = braid.metrics()
    local session <close> = braid.http.session()
    for _ = 1, 3 do assert(session:get(base)) end
    local pool <close> = braid.thread_pool { workers = 2, name = "crew" }
    assert.equal(5, pool:submit(function() return 5 end):result())
    local failed = pool:submit(function() error("on purpose", 0) end)
    failed:wait()
    assert.equal("on purpose", failed:error())
    local running = braid.metrics().tasks.running
    local task = braid.spawn(braid.sleep, 60)
    braid.sleep(0)
    local now = braid.metrics()
    assert.equal(running + 1, now.tasks.running)
    assert.equal(before.http.requests + 3, now.http.requests)
    assert.equal(before.http.reused + 2, now.http.reused)
    assert.equal(before.http.sessions + 1, now.http.sessions)
    local crew = pool_named(now, "crew")
    assert.same({ "thread_pool", 2, 1, 1, 0 }, { crew.kind, crew.workers, crew.done, crew.failed, crew.running })
    assert.is_true(now.process.cpu > 0 and now.process.lua_memory > 0 and now.loop.idle >= 0)
    task:cancel()
  end))

  test("have Prometheus's form", function()
    local pool <close> = braid.inline_pool { name = 'a "b"\\\n' }
    pool:submit(function() end)
    local text = braid.metrics("prometheus")
    local seen
    for line in text:gmatch("([^\n]*)\n") do
      local kind = line:match("^# TYPE braid_[%a_]+ (%a+)$")
      assert.is_true(kind == "gauge" or kind == "counter" or line:find("^# HELP braid_[%a_]+ .+%.$") ~= nil or
        line:find("^braid_[%a_]+ %-?[%d.e+-]+$") ~= nil or line:find('^braid_[%a_]+{%a+=".*"} [%d.e+-]+$') ~= nil, line)
      seen = seen or line:find('outcome="done"', 1, true) and line:find('pool="a \\"b\\"\\\\\\n"', 1, true)
    end
    assert.is_truthy(seen, text)
    expect.misused("form", braid.metrics, "json")
  end)
end)
