-- SPDX-License-Identifier: MIT
-- The public names: all are seen by pairs and by the editor's file; one that is not there says what was meant.
local assert = require "luassert"
local braid = require "braid"
local helper = require "spec.helper"

local test, describe = helper.test, require("busted").describe

local function script(text, ...)
  return assert(braid.process.run({ helper.lua, "-e", text, ... }, { timeout = 20 * helper.slowness }))
end

local function message_of(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  return tostring(err)
end

describe("a name that is not there", function()
  test("can be asked for", function()
    assert.is_nil(braid.telepathy)
    if braid.telepathy then error "there" end
    local value = braid.telepathy and braid.telepathy.send(1) or "none"
    assert.equal("none", value)
    assert.is_nil(braid["tele pathy"])
    assert.is_nil(braid[1])
    assert.is_nil(braid.http.getter)
  end)

  test("says the nearest when it is called, at the caller's line", function()
    local line = debug.getinfo(1, "l").currentline
    assert.equal(("spec/name_spec.lua:%d: braid.spwan: did you mean spawn?"):format(line + 2),
      message_of(function() braid.spwan(print) end))
    assert.matches("braid.htp: did you mean http%?$", message_of(function() braid.htp.get "http://x" end))
    assert.matches("braid.quue: did you mean queue%?$", message_of(function() return braid.quue {} end))
    assert.matches("braid.http.gte: did you mean get%?$", message_of(function() return braid.http.gte "x" end))
    assert.matches("braid.kernels.summ: did you mean sum%?$", message_of(function() return braid.kernels.summ() end))
    assert.matches("braid.zzzzzzz: there is no such name$", message_of(function() braid.zzzzzzz() end))
  end)

  test("is understood in the words of other ecosystems", function()
    assert.matches("did you mean spawn", message_of(function() braid.create_task(print) end))
    assert.matches("did you mean lock", message_of(function() braid.Mutex() end))
    assert.matches("did you mean queue", message_of(function() braid.channel(1) end))
    assert.matches("did you mean thread_pool", message_of(function() braid.ThreadPoolExecutor() end))
    assert.matches("suspends its task by itself", message_of(function() braid.await(print) end))
  end)

  test("says it in chunks that no file has, and in a REPL", function()
    local text = "local braid = require 'braid'\nlocal a, b = 1, 2\nbraid.spwan(print, a, b)"
    for _, name in ipairs { "=stdin", "@no file", "text" } do
      assert.matches(":3: braid.spwan: did you mean spawn%?$", message_of(load(text, name)))
    end
    if os.getenv "BRAID_LUA" then return end -- the sanitizers' host has no REPL
    local ran = assert(braid.process.run({ helper.lua, "-i" }, { timeout = 20 * helper.slowness,
      stdin = "braid = require 'braid'\nbraid.spwan(print)\nbraid.http.gte 'x'\nprint(braid.telepathy)\n" }))
    assert.matches("stdin:1: braid.spwan: did you mean spawn%?", ran.stderr)
    assert.matches("stdin:1: braid.http.gte: did you mean get%?", ran.stderr)
    assert.matches("\nnil\n", ran.stdout)
  end)

  test("says it when pcall calls it", function()
    assert.matches("did you mean spawn%?$", message_of(function() assert(pcall(braid.spwan, print)) end))
    local ok, err = pcall(braid.http.gte, "x")
    assert.is_false(ok)
    assert.matches("braid.http.gte: did you mean get%?$", tostring(err))
    local b, _ = braid, nil
    ok, err = xpcall(b.slep, tostring, 1)
    assert.is_false(ok)
    assert.matches("braid.slep: did you mean sleep%?$", err)
    assert.same({ true, nil }, { pcall(rawget, b, b.telepathy) })
  end)

  test("is what the line does with it", function()
    local lines = {
      { "braid.nme(1)", "call" }, { "return braid.nme { a = 1 }", "call" }, { "braid.nme 'x'", "call" },
      { "braid.nme.get 'x'", "index" }, { "braid.nme:get()", "index" }, { "return braid.nme[1]", "index" },
      { "print(pcall(braid.nme, 1, 2))", "pcall" }, { "pcall(braid.nme)", "pcall" },
      { "print(braid.nme, 1)", "other" }, { "print(1, braid.nme)", "other" }, { "return braid.nme == nil", "other" },
      { "if braid.nme then print(1) end", "other" }, { "x = braid.nme print(1)", "other" },
      { "local x = braid.nme print(x)", "other" }, { "return braid.nme and braid.nme(1)", "other" },
      { "return { braid.nme }", "other" }, { "return function() return braid.nme(1) end", nil },
      { "braid.nme(function() return 1 end, { 1, 2, 3 }, ...)", "call" }, { "return not braid.nme", "other" },
      { "braid.nme(a and b or c, #d)", "call" }, { "braid:nme(1)", "call" }, { "return braid:nme()", "call" },
    }
    for _, line in ipairs(lines) do
      for _, before in ipairs { "", "local braid = 1\n", "local a, b, c\nlocal braid, e = 1, 2\n" } do
        local found = require("braid.bytecode").uses(load(before .. line[1]))
        local _, number = before:gsub("\n", "")
        assert.equal(line[2], (found[number + 1] or {}).nme, before .. line[1])
      end
    end
    local far = ("local x = 1\n"):rep(150) .. "\n\n\n" .. ("print(1)\n"):rep(300) .. "braid.nme()"
    assert.equal("call", require("braid.bytecode").uses(load(far))[454].nme)
    assert.is_nil(require("braid.bytecode").uses(load(string.dump(load(far), true))))
    assert.is_nil(require("braid.bytecode").uses(print))
  end)

  test("says it in the report of a stripped chunk", function()
    local ran = script [[
      load(string.dump(load "local braid = require 'braid' braid.run(function() braid.spwan(print) end)", true))()]]
    assert.equal(1, ran.code)
    assert.matches("attempt to call a nil value %(field 'spwan'%) %(braid.spwan: did you mean spawn%?%)", ran.stderr)
  end)

  test("costs little in a loop, and remembers no more than it must", function()
    local before = collectgarbage "count"
    for i = 1, 20000 do
      if braid["name" .. i] then error "there" end
    end
    collectgarbage()
    assert.is_true(collectgarbage "count" - before < 500)
  end)
end)

describe("a method that is not there", function()
  test("says the nearest, and what others call it", function()
    local queue, lock, task = braid.queue(1), braid.lock(), braid.spawn(function() end)
    local pool <close> = braid.task_pool(1)
    local session <close> = braid.http.session()
    assert.matches("queue:sise: did you mean size%?$", message_of(function() return queue:sise() end))
    assert.matches("queue:get_nowait: did you mean try_get%?$", message_of(function() queue:get_nowait() end))
    assert.matches("queue:pop: did you mean get%?$", message_of(function() queue.pop(queue) end))
    assert.matches("lock:unlock: did you mean release%?$", message_of(function() lock:unlock() end))
    assert.matches("event:trigger: there is no such name$", message_of(function() braid.event():trigger() end))
    assert.matches("counter:incr: did you mean add%?$", message_of(function() braid.counter():incr() end))
    assert.matches("dict:updat: did you mean update%?$", message_of(function() braid.dict():updat("a", print) end))
    assert.matches("future:join: did you mean result%?$", message_of(function() task:join() end))
    assert.matches("pool:apply_async: did you mean submit%?$", message_of(function() pool:apply_async(print) end))
    assert.matches("session:gett: did you mean get%?$", message_of(function() session:gett "x" end))
    assert.matches("app:route: did you mean get%?$", message_of(function() braid.web.app():route("/", print) end))
    assert.matches("scope:start_soon: did you mean spawn%?$",
      message_of(braid.scope, function(scope) scope:start_soon(print) end))
    task:result()
  end)

  test("can be asked for", function()
    local queue = braid.queue(1)
    assert.is_nil(queue.anything)
    assert.is_nil(queue[1])
    assert.is_nil(braid.web.app().anything)
    if queue.peek then queue:peek() end
  end)

  test("is looked for after its object came from another state, too", function()
    local pool <close> = braid.thread_pool(1)
    local text = pool:submit(function(lock)
      local _ = lock.owner or lock:with(tostring, 1)
      return tostring(select(2, pcall(function() lock:unlock() end)))
    end, braid.lock()):result()
    assert.matches("lock:unlock: did you mean release%?$", text)
  end)
end)

describe("all names", function()
  test("are seen by pairs, with their values", function()
    local seen = {}
    for name, value in pairs(braid) do
      seen[name] = true
      assert.equal(braid[name], value)
    end
    for _, name in ipairs { "run", "spawn", "http", "web", "null", "queue", "kernels", "json", "testing" } do
      assert.is_true(seen[name], name)
    end
    local kernels = {}
    for name in pairs(braid.kernels) do kernels[name] = true end
    assert.is_true(kernels.sum and kernels.compile and kernels.factorize and kernels.histogram)
  end)

  test("are in the file for editors, and no other", function()
    local file <close> = assert(io.open "types/braid.lua")
    local text = file:read "a"
    assert(load(text))
    for name, value in pairs(braid) do
      local pattern = type(value) == "function" and "\nfunction braid%." .. name .. "%(" or
        "\n%-%-%-@field " .. name .. " "
      assert.matches(pattern, text)
    end
    for name in text:gmatch "\nfunction braid%.([%w_]+)%(" do assert.is_not_nil(braid[name], name) end
    for part, name in text:gmatch "\nfunction braid%.([%w_]+)%.([%w_]+)%(" do
      local is_there, module = pcall(function() return braid[part] end) -- its library may not be installed
      if is_there then assert.is_not_nil(module[name], part .. "." .. name) end
    end
  end)
end)

describe("a mistake that other ecosystems suggest", function()
  test("is answered with what to write", function()
    finally(braid.http.close)
    assert.matches("unknown option 'max_workers' to 'thread_pool' %(did you mean 'workers'%?%)",
      message_of(braid.thread_pool, { max_workers = 4 }))
    assert.matches("unknown option 'params' to 'get' %(did you mean 'query'%?%)",
      message_of(braid.http.get, "http://127.0.0.1:1/", { params = {} }))
    assert.matches("write braid.queue%(10%)", message_of(braid.queue, { maxsize = 10 }))
    assert.matches("{id}", message_of(function() braid.web.app():get("/items/:id", print) end))
    assert.matches("call it with a dot: braid.http.get%(url%)", message_of(function() braid.http:get "http://x" end))
    assert.matches("call it with a dot: braid.map%(", message_of(function() braid:map(print, {}) end))
    assert.matches("did you mean 'return_errors'", message_of(braid.gather, {}, { return_exceptions = true }))
    assert.matches("did you mean 'limit'", message_of(braid.map, print, {}, { max_workers = 3 }))
    assert.matches("did you mean 'verify'", message_of(braid.http.get, "http://127.0.0.1:1/", { verify_ssl = false }))
    assert.matches("the function comes first$", message_of(braid.map, { 1, 2 }, print))
    assert.matches("write braid.gather { f, g }$", message_of(braid.gather, print, print))
    assert.matches("expected, got a string%)$", message_of(braid.timeout, "5", print))
    assert.matches("expected, got a function%)$", message_of(braid.timeout, print, 5))
    assert.matches("braid.http.request { url", message_of(braid.http.get, { url = "http://127.0.0.1:1/" }))
    assert.matches('a parameter is written {id}', message_of(function() braid.web.app():get("/x/<int:id>", print) end))
    assert.matches('one of f64, f32', message_of(braid.array, "double", 3))
  end)

  test("of holding a lock is answered in the report", function()
    local ran = script [[local braid = require "braid"
      braid.run(function() local held <close> = braid.lock():acquire() end)]]
    assert.equal(1, ran.code)
    assert.matches("non%-closable value %(lock:acquire%(%) .- `local held <close> = lock:hold%(%)`%)", ran.stderr)
  end)
end)

describe("a report", function()
  test("tells what an error without text has in it, and names functions as programs do", function()
    local ran = script [[local braid = require "braid"
      braid.run(function()
        local braid_sleep = braid.sleep
        braid.spawn(function() error { code = 7, why = "x" } end):wait()
        error(setmetatable({}, { __tostring = function() return "mine" end }))
      end)]]
    assert.matches('unhandled error: { code = 7, why = "x" }', ran.stderr)
    assert.matches("[^\n]: mine\n", ran.stderr)
    ran = script "local braid = require 'braid' local f = braid.spawn braid.run(function() f(1) end)"
    assert.matches("function 'braid.spawn'", ran.stderr)
    ran = script "local braid = require 'braid' braid.run(function() for x in braid.queue(1) do print(x) end end)"
    assert.matches("queue:items%(%)", ran.stderr)
    ran = script "local braid = require 'braid' braid.run(function() await(1) end)"
    assert.matches("task:result%(%) waits for a task", ran.stderr)
  end)

  test("cannot command a terminal", function()
    local ran = script [[local braid = require "braid"
      braid.spawn(error, "a\27[2Jb\tc")
      braid.run(function() braid.sleep(0) error("d\27]0;x\7e\xC2\x9Bf", 0) end)]]
    assert.matches("a\\x1b%[2Jb\tc", ran.stderr)
    assert.matches("d\\x1b%]0;x\\x07e\\xc2\\x9bf", ran.stderr)
    assert.not_matches("[\1-\8\11-\31\127]", (ran.stderr:gsub("[\n\t]", "")))
  end)
end)
