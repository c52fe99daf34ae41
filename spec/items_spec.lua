-- SPDX-License-Identifier: MIT
-- What has a name: gather, map, race, as_completed, wait and the maps of pools run it as they run the list's.
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"
local test, run = helper.test, helper.run
local describe, assert = describe, assert

-- What is sent must not take the test runner's environment along.
local _ENV = _G -- luacheck: ignore 211/_ENV

local function returns(value) return function() braid.sleep(0) return value end end

local function misuse(fn, ...) return expect.misused(nil, fn, ...).message end

local function count(t)
  local n = 0
  for _ in pairs(t) do n = n + 1 end
  return n
end

describe("gather of names", function()
  test("gives the results under them", function()
    run(function()
      local results = braid.gather { user = returns "ada", order = returns(7) }
      assert.same({ user = "ada", order = 7 }, results)
      assert.is_nil(results.n)
      assert.equal('{"order":7,"user":"ada"}', braid.json.encode(results, { sort_keys = true }))
      assert.same({ a = 1 }, braid.gather { a = braid.spawn(returns(1)) })
      assert.same({ n = 3, m = 4 }, braid.gather { n = returns(3), m = returns(4) })
      assert.same({ n = 3 }, braid.gather { n = returns(3) })
      assert.same({ 5, n = 3 }, braid.gather { returns(5), n = returns(3) })
      assert.same({ [false] = 1, [0] = 2, [1.5] = 3, [-4] = 4 },
        braid.gather { [false] = returns(1), [0] = returns(2), [1.5] = returns(3), [-4] = returns(4) })
    end)
  end)

  test("and of a list runs all of them", function()
    run(function()
      local results = braid.gather { returns(1), returns(nil), returns(3), last = returns "x" }
      assert.same({ 1, nil, 3, last = "x" }, { results[1], results[2], results[3], last = results.last })
      assert.equal(3, results.n)
      results = braid.gather { returns(1), returns(2), [9] = returns(3) }
      assert.same({ 1, 2, 3 }, { results[1], results[2], results[9] })
    end)
  end)

  test("takes gather's options", function()
    run(function()
      local running, most = 0, 0
      local function work()
        running = running + 1
        most = math.max(most, running)
        braid.sleep(0.005)
        running = running - 1
        return "done"
      end
      local results = braid.gather({ work, a = work, b = work, c = work }, { limit = 2 })
      assert.same({ "done", a = "done", b = "done", c = "done" }, { results[1], a = results.a, b = results.b,
        c = results.c })
      assert.equal(2, most)
      local function fail() error("no", 0) end
      local failures
      results, failures = braid.gather({ good = returns(1), bad = fail }, { return_errors = true })
      assert.same({ good = 1 }, results)
      assert.same({ bad = "no" }, failures)
      local ok, err = pcall(braid.gather, { good = function() braid.sleep(60) end, bad = fail })
      assert.is_false(ok)
      assert.equal("no", err)
      ok, err = pcall(braid.gather, { a = returns(1), bad = fail }, { on_error = "continue" })
      assert.is_false(ok)
      assert.equal("no", err)
    end)
  end, { deadline = 10 })

  test("names what is no function", function()
    assert.matches("list.user.*a string", misuse(braid.gather, { user = "ada" }))
    assert.matches("list%[2%].*a boolean", misuse(braid.gather, { returns(1), false }))
    assert.matches("list%[true%]", misuse(braid.gather, { [true] = 1 }))
  end)

  test("a list's own n is its length, as table.pack has it", function()
    run(function()
      assert.equal("[1]", braid.json.encode(braid.gather { returns(1), returns(2), n = 1 }))
      assert.equal(3, braid.map(function() end, { n = 3 }).n)
      assert.matches("its n is to be an integer", misuse(braid.gather, { n = -1 }))
      assert.matches("its n is to be an integer", misuse(braid.gather, { n = 1.5 }))
      local squares = braid.map(function(x) return (x or 0) ^ 2 // 1 | 0 end, table.pack(1, nil, 3))
      assert.equal("[1,0,9]", braid.json.encode(squares))
      assert.same({ 3, 3 }, { squares.n, braid.map(function() end, squares).n })
    end)
  end)

  test("a class with __len says itself what is in it", function()
    local Sized = { __len = function() return 2 end, __index = function(_, i) return i * 10 end }
    run(function()
      local results = braid.map(function(x) return x end, setmetatable({ _data = 1, n = 7 }, Sized))
      assert.equal("[10,20]", braid.json.encode(results))
    end)
  end)
end)

describe("map of names", function()
  test("gives fn the name, and the results under it", function()
    run(function()
      local results = braid.map(function(x, name) return name .. x end, { a = 1, b = 2 })
      assert.same({ a = "a1", b = "b2" }, results)
      results = braid.map(function(x, at) return at .. x end, { 5, a = 1 }, { limit = 1 })
      assert.same({ "15", "a1" }, { results[1], results.a })
      local names = {}
      braid.map(function(_, name) names[#names + 1] = name end, { d = 1, b = 1, a = 1, c = 1, 1 }, { limit = 1 })
      assert.same({ 1, "a", "b", "c", "d" }, names)
    end)
  end)

  local function double(x)
    if x == "bad" then error("no", 0) end
    return x * 2
  end
  local makers = { inline = braid.inline_pool, tasks = braid.task_pool, threads = braid.thread_pool,
    processes = braid.process_pool }
  for kind, make in pairs(makers) do
    test("by a pool of " .. kind .. " gives the results under them", function()
      run(function()
        local pool <close> = make(2)
        assert.same({ a = 2, b = 4 }, pool:map(double, { a = 1, b = 2 }))
        assert.same({ n = 2, m = 4 }, pool:map(double, { n = 1, m = 2 }))
        for _, opts in ipairs { {}, { chunk = 1 }, { chunk = 3 }, { timeout = 30 } } do
          local results = pool:map(double, { 1, 2, a = 3, b = 4, c = 5 }, opts)
          assert.same({ 2, 4, 6, 8, 10 }, { results[1], results[2], results.a, results.b, results.c })
          assert.equal(2, results.n)
          opts.return_errors = true
          local failures
          results, failures = pool:map(double, { 1, "bad", a = "bad", b = 4 }, opts)
          assert.same({ 2, b = 8 }, { results[1], b = results.b })
          assert.is_nil(results[2])
          assert.is_nil(results.a)
          assert.is_not_nil(failures[2])
          assert.is_not_nil(failures.a)
          assert.equal(2, count(failures))
        end
        local ok, err = pcall(pool.map, pool, double, { a = 1, b = "bad" })
        assert.is_false(ok)
        assert.matches("no", tostring(err))
        local many = {}
        for i = 1, 500 do many["key" .. i] = i end
        local results = pool:map(double, many)
        for i = 1, 500 do assert.equal(2 * i, results["key" .. i]) end
        assert.equal(500, count(results))
        assert.matches("iterator.a is no element", misuse(pool.imap, pool, double, { a = 1 }))
      end)
    end, { deadline = 30 })
  end
end)

describe("put_many", function()
  test("refuses what has a name, and what its n counts and is not there", function()
    local queue = braid.queue()
    assert.matches("list.a is no element", misuse(queue.put_many, queue, { 1, a = 2 }))
    assert.matches("element 2 is nil", misuse(queue.put_many, queue, { 1, nil, n = 2 }))
    assert.matches("a list expected, got 7", misuse(queue.put_many, queue, 7))
    assert.equal(0, queue:size())
    assert.is_true((queue:put_many(table.pack(1, 2))))
    assert.equal(2, queue:size())
  end)
end)

describe("lists of C functions", function()
  test("are refused when something in them has a name", function()
    local queue, kernels = braid.queue(), braid.kernels
    for name, call in pairs {
      select = function() braid.select({ { queue, "get" }, a = { queue, "get" } }, 0) end,
      array = function() braid.array("f64", { a = 1 }) end,
      hash = function() kernels.hash { a = "x" } end,
      word_count = function() kernels.word_count { a = "x" } end,
      factorize = function() kernels.factorize { 15, a = 21 } end,
      is_prime = function() kernels.is_prime { a = 3 } end,
    } do
      assert.matches("to '" .. name .. "' %(a list without names expected", misuse(call))
    end
    assert.equal(2, #braid.array("f64", table.pack(1, 2)))
    assert.equal(2, #braid.array("f64", braid.json.decode "[1,2]"))
    assert.same({ true, false }, kernels.is_prime(table.pack(3, 4)))
  end)
end)

describe("futures with names", function()
  test("are raced, awaited and completed like those of a list", function()
    run(function()
      assert.equal("fast", (braid.race { slow = function() braid.sleep(60) end, fast = returns "fast" }))
      local futures = { a = braid.spawn(returns(1)), b = braid.spawn(returns(2)), braid.spawn(returns(3)) }
      local done, pending = braid.wait(futures)
      assert.same({ 3, 0 }, { #done, #pending })
      local sum = 0
      for future in braid.as_completed(futures) do sum = sum + future:result() end
      assert.equal(6, sum)
      assert.matches("element a: a future expected", misuse(braid.wait, { a = 1 }))
      assert.matches("element 1: a future expected", misuse(braid.as_completed, { 1 }))
      assert.matches("at least one", misuse(braid.race, {}))
    end)
  end, { deadline = 10 })
end)
