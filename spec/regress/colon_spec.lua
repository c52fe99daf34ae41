-- SPDX-License-Identifier: MIT
-- A method that is called with a dot says so at the caller's line, whatever it is given as its object.
local braid = require "braid"
local helper = require "spec.helper"
local test, run = helper.test, helper.run

local function refused(name, method, ...)
  local ok, err = pcall(method, ...)
  assert.is_false(ok, name .. " took it")
  assert.is_true(braid.is_error(err, "misuse"), ("%s: %s"):format(name, err))
  assert.matches("^[^\n]*colon_spec%.lua:%d+: call it with a colon: %w+:", err.message)
  assert.matches((":%s(...)"):format(name), err.message, 1, true)
end

-- Every method of the object that its class shows; of classes that hide them, those that are named.
local function refuses_dots(object, named)
  local index = getmetatable(object).__index
  local methods = {}
  for _, name in ipairs(named or {}) do methods[name] = object[name] end
  for name, method in pairs(type(index) == "table" and index or {}) do
    if type(method) == "function" and not name:find "^_" then methods[name] = method end
  end
  assert.is_truthy(next(methods))
  for name, method in pairs(methods) do
    for _, wrong in ipairs { 5, "x", print, true, {}, io.stdout } do refused(name, method, wrong, print) end
    refused(name, method)
  end
end

describe("a method that is called with a dot", function()
  for _, name in ipairs { "queue", "lock", "event", "condition", "counter", "dict" } do
    test("of a " .. name, function() refuses_dots(braid[name]()) end)
  end

  for _, name in ipairs { "semaphore", "barrier" } do
    test("of a " .. name, function() refuses_dots(braid[name](1)) end)
  end

  test("of an array", function() refuses_dots(braid.array("u8", 3), { "fill", "slice", "set", "totable" }) end)

  for _, kind in ipairs { "inline", "tasks", "threads", "processes" } do
    test("of a pool of " .. kind, function()
      run(function()
        local pool <close> = braid.pool(kind, 1)
        refuses_dots(pool)
        refused("map", pool.map, {}, print)
        local busy <close> = braid.pool(kind, { workers = 1, backlog = 1 })
        refused("submit", busy.submit, 5, print)
      end)
    end)
  end

  test("of a future and of a scope", function()
    run(function()
      refuses_dots(braid.spawn(print), { "result", "wait", "cancel", "on_done", "state" })
      braid.scope(refuses_dots)
    end)
  end)

  test("of streams, listeners and processes", function()
    run(function()
      local listener <close> = assert(braid.net.listen("127.0.0.1", 0))
      local stream <close> = assert(braid.net.connect("127.0.0.1", listener.port))
      local process <close> = braid.process.start({ "cat" }, {})
      for _, object in ipairs { listener, stream, process, process.stdout } do refuses_dots(object) end
    end)
  end)

  test("of an application and of a session", function()
    refuses_dots(braid.web.app())
    local session <close> = braid.http.session()
    refuses_dots(session)
  end)

  test("names the line where it stands", function()
    local pool <close> = braid.inline_pool()
    local line = debug.getinfo(1, "l").currentline + 1
    local _, err = pcall(function() return pool.submit(print, 5), 1 end)
    assert.matches(("colon_spec.lua:%d: call it with a colon: pool:submit(...)"):format(line), err.message, 1, true)
  end)
end)

describe("what cannot be sent", function()
  test("is named with the line of who sent it", function()
    run(function()
      local pool <close> = braid.thread_pool(1)
      local queue = braid.queue()
      local function fails(fn)
        local line = debug.getinfo(fn, "S").linedefined
        local ok, err = pcall(fn)
        assert.is_false(ok)
        assert.is_true(braid.is_error(err, "not_sendable"), tostring(err))
        assert.matches(("^[^\n]*colon_spec%%.lua:%d: [^\n]*coroutine"):format(line), err.message)
        local _, times = err.message:gsub("colon_spec", "")
        assert.equal(1, times)
      end
      fails(function() pool:submit(print, coroutine.create(print)) end)
      fails(function() pool:map(print, { coroutine.create(print) }) end)
      queue:put(coroutine.create(print))
      fails(function() pool:submit(print, queue) end)
      queue:get()
      pool:submit(print, queue):cancel()
      fails(function() queue:put { coroutine.create(print) } end)
    end)
  end)
end)
