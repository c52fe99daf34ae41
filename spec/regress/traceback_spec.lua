-- SPDX-License-Identifier: MIT
-- The traceback of an earlier error was shown for a later one that was equal to it; error() had none; what result()
-- raised showed the library's own lines in place of those of the task or job that had failed.
local helper = require "spec.helper"
local braid = require "braid"

local HEAD = [[
local braid = require "braid"
local function deep(value) error(value) end
local function outer(value) deep(value) return value end
]]

local function count(text, pattern) return select(2, text:gsub(pattern, "")) end

-- What a script says that ends with an error: once, under one heading, from the inside out, nothing of braid's.
local function check(code, opts)
  local out, err, status = helper.lua_process(HEAD .. code, opts)
  local said = code .. "\n" .. out .. err
  assert.equal(1, status, said)
  assert.equal(1, count(err, "stack traceback:"), said)
  assert.equal(0, count(err, "braid/[%a_/]+%.lua:%d"), said)
  assert.equal(0, count(err, "braid%.core"), said)
  return err, said
end

local values = {
  ["text"] = { '"gone"', ":2: gone\n" }, ["a number"] = { "42", "42\n" }, ["nil"] = { "nil", "nil\n" },
  ["a table"] = { "{ code = 1 }", "{ code = 1 }\n" }, ["userdata"] = { "io.stdout", "file %(" },
  ["a table that tells itself"] = { 'setmetatable({}, { __tostring = function() return "told" end })', "told\n" },
  ["a table that cannot"] = { "setmetatable({}, { __tostring = error })", "a table whose __tostring fails\n" },
}

local ways = {
  'braid.run(outer, VALUE)',
  'braid.run(function() braid.spawn(outer, VALUE):result() end)',
  'braid.spawn(outer, VALUE):result()',
  'braid.run(function() local f = braid.spawn(outer, VALUE) braid.spawn(function() f:result() end):result() end)',
  'braid.timeout(1, outer, VALUE)',
  'braid.run(braid.timeout, 1, outer, VALUE)',
  'braid.move_on_after(1, outer, VALUE)',
  'braid.shield(outer, VALUE)',
  'braid.run(function() braid.shield(braid.timeout, 1, outer, VALUE) end)',
  'braid.scope(function() outer(VALUE) end)',
  'braid.scope(function(s) s:spawn(outer, VALUE) end)',
  'local s <close> = braid.scope() s:spawn(outer, VALUE) braid.sleep(1)',
  'braid.run(function() local s <close> = braid.scope() outer(VALUE) return 1 end)',
  'braid.run(function() local s <close> = braid.scope() s:spawn(outer, VALUE) braid.sleep(1) end)',
  'braid.gather { function() outer(VALUE) end }',
  'braid.run(function() braid.gather({ function() outer(VALUE) end }, { limit = 1 }) end)',
  'braid.run(function() braid.gather({ function() outer(VALUE) end }, { on_error = "continue" }) end)',
  'braid.map(function() outer(VALUE) end, { 1 })',
  'for _ in braid.wrap(function() outer(VALUE) end) do end',
  'braid.run(function() for _ in braid.wrap(function() braid.sleep(0) outer(VALUE) end) do end end)',
  'braid.run(function() local q <close> = braid.inline_pool() q:submit(outer, VALUE):result() end)',
  'local pool = braid.task_pool(2) pool:submit(outer, VALUE):result()',
}

local travelling = {
  'braid.run(function() braid.to_thread(outer, VALUE) end)',
  'braid.run(function() local pool <close> = braid.pool(KIND, 1) pool:submit(outer, VALUE):result() end)',
  'local pool = braid.pool(KIND, 1) pool:submit(outer, VALUE):result()',
  'braid.run(function() local pool <close> = braid.pool(KIND, 1) pool:map(outer, { VALUE }) end)',
  'local pool <close> = braid.pool(KIND, 1) for _ in pool:imap(outer, { VALUE }) do end',
  [[braid.run(function()
    local pool <close> = braid.pool(KIND, 1)
    pool:submit(function() require "braid".scope(function(s) s:spawn(outer, VALUE) end) end):result()
  end)]],
  [[braid.run(function()
    local pool <close> = braid.pool(KIND, 1)
    pool:submit(function() require "braid".spawn(outer, VALUE) end):result()
  end)]],
}

local function shows_place(code)
  local err, said = check(code)
  assert.matches(":2: in upvalue 'deep'.*:3: in ", err, said)
end

describe("an error that ends a script shows the place it came from", function()
  for name, value in pairs(values) do
    helper.test("as " .. name, function()
      local err = check(("braid.run(outer, %s)"):format(value[1]))
      assert.matches("^[^\n]-: .-" .. value[2], err)
      assert.matches(":2: in upvalue 'deep'\n\t[^\n]*:3: in function <[^\n]*:3>\n", err)
      check(("braid.spawn(outer, %s):result()"):format(value[1]))
    end)
  end

  for _, way in ipairs(ways) do
    helper.test((way:gsub("VALUE", '"gone"')), function()
      shows_place((way:gsub("VALUE", '"gone"')))
      shows_place((way:gsub("VALUE", "{ code = 1 }")))
    end)
  end

  for _, kind in ipairs { "threads", "processes" } do
    for _, way in ipairs(travelling) do
      way = way:gsub("KIND", ("%q"):format(kind))
      way = way:gsub("VALUE", '"gone"')
      helper.test((way:gsub("%s+", " ")), function() shows_place(way) end)
    end
  end

  helper.test("that is inside a coroutine, and who ran that", function()
    local err = check [[
      local function each() return coroutine.wrap(function() braid.now() outer("gone") end) end
      braid.run(function() for _ in each() do end end)
    ]]
    assert.matches("'deep'.*:3: in upvalue 'outer'.*:4: in function.*for iterator.*:5: in function", err)
  end)

  helper.test("that is in the clean-up after another error", function()
    local err = check [[
      braid.run(function()
        local _ <close> = setmetatable({}, { __close = function() braid.sleep(0.01) outer "second" end })
        error "first"
      end)
    ]]
    assert.matches(":2: second.*'deep'.*:5: in ", err)
  end)

  helper.test("of a group: that of the first", function()
    local err = check [[
      braid.run(function()
        braid.race { function() outer "one" end, function() braid.sleep(0.01) error "two" end }
      end)
    ]]
    assert.matches("2 failures:.*'deep'", err)
  end)

  helper.test("of an error of braid's own", function()
    assert.matches("not done within 0.01 s.*:4: in main chunk", (check "braid.timeout(0.01, braid.sleep, 1)"))
    assert.matches("'s' to 'timeout'.*:4: in function", (check "braid.run(function() braid.timeout {} end)"))
    assert.matches("coroutine.yield in a task.*'coroutine.yield'\n\t[^\n]*:4: in function",
      (check "braid.run(function() coroutine.yield() end)"))
  end)

  helper.test("once though it has been reported", function()
    assert.matches("unhandled.*'deep'.*:2: gone\n$", (check 'braid.run(function() braid.spawn(outer, "gone") end)'))
  end)

  helper.test("with braid's own lines when BRAID_DEBUG=1", function()
    local _, err = helper.lua_process(HEAD .. 'braid.timeout(1, outer, "gone")', { env = { BRAID_DEBUG = "1" } })
    assert.matches("'deep'.*braid/tasks/scope%.lua:%d", err)
  end)

  helper.test("short, when the stack is deep", function()
    local err = check "local function down() return down() + 1 end braid.run(down)"
    assert.matches("stack overflow", err)
    assert.is_true(count(err, "\n") < 40)
    assert.matches("skipping", err)
  end)
end)

-- A file for a command, and what that says.
local function run_command(command, code)
  local name = os.tmpname()
  finally(function() os.remove(name) end)
  local file <close> = io.open(name, "w")
  file:write(code)
  file:close()
  local out, err, status = helper.lua_process(([[
    arg = { %q, %q }
    return require("braid.command").run(arg)
  ]]):format(command, name))
  return err, out .. err, status
end

describe("braid", function()
  helper.test("run shows the place of an error, and only that", function()
    for _, code in ipairs { 'outer "gone"', 'braid.spawn(outer, "gone"):result()', 'braid.to_thread(outer, "gone")' } do
      local err, said, status = run_command("run", HEAD .. code)
      assert.equal(1, status)
      assert.matches("^braid run: [^\n]*:2: gone\nstack traceback:\n.*'deep'", err, said)
      assert.equal(1, count(err, "stack traceback:"), said)
      assert.equal(0, count(err, "braid/[%a_/]+%.lua:%d"), said)
    end
  end)

  helper.test("serve shows the place of an error in its file", function()
    local err, said, status = run_command("serve", HEAD .. 'outer "gone"')
    assert.equal(1, status)
    assert.matches("^braid serve: [^\n]*:2: gone\nstack traceback:\n.*'deep'", err, said)
    assert.equal(0, count(err, "braid/[%a_/]+%.lua:%d"), said)
  end)

  helper.test("says without a place what is no error of a program", function()
    local err = run_command("run", "this is not Lua")
    assert.equal(1, count(err, "\n"), err)
  end)
end)

-- ---- inside a program -----------------------------------------------------------------------------------------------

local function connect() error("refused", 0) end
local function parse() error("refused", 0) end

describe("a traceback", function()
  helper.test("is of this error, not of an equal one before", function()
    helper.run(function()
      for _, catch in ipairs {
        function() braid.timeout(1, connect) end, function() braid.scope(connect) end,
        function() braid.spawn(connect):result() end, function() braid.gather { connect } end,
        function() for _ in braid.wrap(connect) do end end,
      } do
        pcall(catch)
        local task = braid.spawn(parse)
        task:wait()
        assert.matches("'?parse'?", task:traceback():gsub(":" .. debug.getinfo(parse, "S").linedefined .. ":", "parse"))
        assert.equal("refused", task:error())
      end
    end)
  end)

  helper.test("is there for error() and error(nil)", function()
    helper.run(function()
      for _, fail in ipairs { function() error() end, function() error(nil) end } do
        local task = braid.spawn(fail)
        task:wait()
        assert.equal("failed", task:state())
        assert.matches("traceback_spec.lua:%d+: in function", task:traceback())
        task:error()
      end
    end)
  end)

  helper.test("is each task's own while they clean up at once", function()
    helper.run(function()
      local function fail_slowly(name, seconds)
        local _ <close> = setmetatable({}, { __close = function() braid.sleep(seconds) end })
        load(("error 'gone'"), "=" .. name)()
      end
      local first, second = braid.spawn(fail_slowly, "one", 0.02), braid.spawn(fail_slowly, "two", 0.01)
      pcall(first.result, first)
      pcall(second.result, second)
      assert.matches("one:1: in main chunk", first:traceback())
      assert.matches("two:1: in main chunk", second:traceback())
    end)
  end)

  helper.test("is given to on_unhandled", function()
    local seen = {}
    finally(function() braid.on_unhandled(nil) end)
    braid.on_unhandled(function(err, traceback, name) seen[#seen + 1] = { err, traceback, name } end)
    pcall(helper.run, function()
      pcall(braid.timeout, 1, connect)
      braid.spawn(function() parse() return 1 end).name = "reader"
      local pool <close> = braid.thread_pool(1)
      pool:submit(load("error('refused', 0)", "=job")):wait()
    end)
    collectgarbage()
    collectgarbage()
    table.sort(seen, function(a) return a[3] == "reader" end)
    assert.equal(2, #seen)
    assert.equal("refused", seen[1][1])
    assert.matches("traceback_spec.lua:" .. debug.getinfo(parse, "S").linedefined .. ": in ", seen[1][2])
    assert.matches("job:1: in main chunk", seen[2][2])
  end)
end)
