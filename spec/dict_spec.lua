-- SPDX-License-Identifier: MIT
-- Values by their keys, for tasks and threads.
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"
local describe, assert = describe, assert
local test, run = helper.test, helper.run
local misused = expect.misused
local _ENV = _G -- luacheck: ignore 211/_ENV (not busted's: a job's globals are those of its worker)

local function sorted(list)
  table.sort(list, function(a, b) return type(a) .. tostring(a) < type(b) .. tostring(b) end)
  return list
end

describe("dict", function()
  test("keeps what was set under keys of each kind", function()
    local dict = braid.dict()
    local values = { one = 1, [""] = "empty", [1] = 2.5, [1.5] = "half", [true] = false, [false] = { 1, { 2 } },
      [-1] = braid.null, [("x"):rep(1000)] = "long", ["1"] = "text" }
    for key, value in pairs(values) do assert.is_true((dict:set(key, value))) end
    for key, value in pairs(values) do assert.same(value, dict:get(key)) end
    assert.equal(9, dict:size())
    assert.is_nil(dict:get("none"))
    local keys = {}
    for key in pairs(values) do keys[#keys + 1] = key end
    assert.same(sorted(keys), sorted(dict:keys()))
  end)

  test("whole floats and integers are one key", function()
    local dict = braid.dict()
    dict:set(2.0, "two")
    assert.equal("two", dict:get(2))
    assert.same({ 2 }, dict:keys())
    assert.equal("integer", math.type(dict:keys()[1]))
    dict:set(-0.0, "zero")
    assert.equal("zero", dict:get(0))
  end)

  test("nil takes a key out", function()
    local dict = braid.dict()
    dict:set("a", 1)
    dict:set("a", nil)
    dict:set("b", nil)
    assert.is_nil(dict:get("a"))
    assert.equal(0, dict:size())
    assert.same({}, dict:keys())
  end)

  test("goes through many changes as a table does", function()
    local dict, model, count = braid.dict(), {}, 0
    math.randomseed(7)
    for _ = 1, 20000 do
      local key = math.random(300)
      if key % 3 == 0 then key = "k" .. key end
      local value = math.random(3) > 1 and math.random(100) or nil
      dict:set(key, value)
      count = count + (value and 1 or 0) - (model[key] and 1 or 0)
      model[key] = value
    end
    assert.equal(count, dict:size())
    for i = 1, 300 do
      assert.equal(model[i], dict:get(i))
      assert.equal(model["k" .. i], dict:get("k" .. i))
    end
  end)

  test("values are copies", function()
    local dict, value = braid.dict(), { 1, { 2 } }
    dict:set("t", value)
    value[2][1] = 3
    assert.same({ 1, { 2 } }, dict:get("t"))
    dict:get("t")[1] = 5
    assert.same({ 1, { 2 } }, dict:get("t"))
    local queue = braid.queue()
    dict:set("q", { queue })
    assert.equal(queue, dict:get("q")[1])
  end)

  test("refuses keys and values that it cannot keep", function()
    local dict = braid.dict()
    for _, key in ipairs { {}, print, 0 / 0 } do
      misused("'key'", dict.set, dict, key, 1)
      misused("'key'", dict.get, dict, key)
    end
    misused("got nil", dict.get, dict)
    misused("'fn'", dict.update, dict, "k", 1)
    misused("'timeout'", dict.set, dict, "k", 1, -1)
    misused("as self", dict.get, {}, 1)
    dict:set("k", 1)
    local ok, err = pcall(dict.set, dict, "k", coroutine.create(print))
    assert.is_false(ok)
    assert.is_true(braid.is_error(err, "not_sendable"))
    assert.equal(1, dict:get("k"))
  end)

  test("one that is in itself goes when nobody else has it", function()
    local dict = braid.dict()
    local array = braid.array("f64", 200000)
    dict:set("me", { dict, array })
    assert.equal(dict, dict:get("me")[1])
    dict, array = nil, array:fill(0) and nil -- luacheck: ignore 311
  end)
end)

describe("dict:update", function()
  test("gives the old value, sets and returns the new one", function()
    run(function()
      local dict = braid.dict()
      assert.equal(1, dict:update("n", function(old) return (old or 0) + 1 end))
      assert.equal(2, dict:update("n", function(old) return old + 1 end))
      assert.is_nil((dict:update("n", function() return nil end)))
      assert.equal(0, dict:size())
    end)
  end)

  test("is atomic though it waits: updates and sets wait for it, gets do not", function()
    run(function()
      local dict, order = braid.dict(), {}
      dict:set("n", 0)
      braid.scope(function(scope)
        for _ = 1, 20 do
          scope:spawn(function()
            dict:update("n", function(old)
              braid.sleep(0)
              return old + 1
            end)
          end)
        end
      end)
      assert.equal(20, dict:get("n"))
      braid.spawn(function()
        dict:update("n", function(old)
          order[#order + 1] = "begin"
          braid.sleep(0.01)
          dict:set("inside", true)
          order[#order + 1] = "end"
          return old + 1
        end)
      end)
      braid.sleep(0)
      assert.equal(20, dict:get("n"))
      local _, err = dict:set("n", 5, 0)
      assert.is_true(braid.is_error(err, "timeout"))
      assert.equal("dict:set: timed out", tostring(err))
      dict:set("n", dict:get("n") + 100)
      order[#order + 1] = "set"
      assert.same({ "begin", "end", "set" }, order)
      assert.equal(120, dict:get("n"))
      assert.is_true(dict:get("inside"))
    end)
  end)

  test("what fn raises leaves the old value, and lets the next one in", function()
    run(function()
      local dict = braid.dict()
      dict:set("n", 1)
      local ok, err = pcall(dict.update, dict, "n", function() error("no", 0) end)
      assert.is_false(ok)
      assert.equal("no", err)
      ok, err = pcall(dict.update, dict, "n", function() return coroutine.create(print) end)
      assert.is_false(ok)
      assert.is_true(braid.is_error(err, "not_sendable"))
      assert.equal(1, dict:get("n"))
      assert.equal(2, dict:update("n", function(old) return old + 1 end, 0))
    end)
  end)

  test("one that is cancelled leaves the old value", function()
    run(function()
      local dict = braid.dict()
      dict:set("n", 1)
      local task = braid.spawn(dict.update, dict, "n", function()
        braid.sleep(60)
        return 2
      end)
      braid.sleep(0.001)
      task:cancel()
      dict:set("m", 1)
      assert.equal(1, dict:get("n"))
    end)
  end)

  test("inside an update of the same dict is an error; of another dict is not", function()
    run(function()
      local dict, other = braid.dict(), braid.dict()
      dict:update("a", function()
        misused("going on here", dict.update, dict, "b", print)
        other:update("b", function() return 2 end)
        return other:get("b")
      end)
      assert.equal(2, dict:get("a"))
    end)
  end)
end)

describe("dict between threads", function()
  test("updates are counted, each once", function()
    run(function()
      local pool <close> = braid.thread_pool(4)
      local dict, jobs = braid.dict(), {}
      for i = 1, 4 do
        jobs[i] = pool:submit(function(d, own)
          for _ = 1, 300 do d:update("sum", function(old) return (old or 0) + 1 end) end
          for k = 1, 100 do d:set(own .. k, { own }) end
        end, dict, "k" .. i .. ":")
      end
      for _, job in ipairs(jobs) do job:result() end
      assert.equal(1200, dict:get("sum"))
      assert.equal(401, dict:size())
      assert.same({ "k3:" }, dict:get("k3:77"))
    end)
  end)

  test("a job that ends inside its update lets the others go on", function()
    run(function()
      local pool <close> = braid.thread_pool(1)
      local dict, begun = braid.dict(), braid.event()
      dict:set("n", 1)
      local job = pool:submit(function()
        dict:update("n", function()
          begun:set()
          braid.sleep(60)
          return 2
        end)
      end)
      begun:wait()
      job:cancel()
      assert.equal(11, dict:update("n", function(old) return old + 10 end, 5))
    end)
  end)
end)
