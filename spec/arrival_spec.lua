-- SPDX-License-Identifier: MIT
-- An object that arrives in a worker has all its methods, fields and operators there, though the worker has loaded
-- nothing for it.
local helper = require "spec.helper"
local braid = require "braid"
local describe, assert = describe, assert
local _ENV = _G -- luacheck: ignore 211/_ENV (not busted's: a job's globals are those of its worker)

local makers = {
  queue = function() return braid.queue(2) end,
  lock = function() return braid.lock() end,
  semaphore = function() return braid.semaphore(2) end,
  event = function() return braid.event() end,
  condition = function() return braid.condition() end,
  barrier = function() return braid.barrier(2) end,
  counter = function() return braid.counter(3) end,
  dict = function() return braid.dict() end,
  array = function() return braid.array("f64", { 1, 2, 3, 4 }) end,
  matrix = function() return braid.array("f64", { shape = { 2, 2 }, values = { 1, 2, 3, 4 } }) end,
}

-- What an object of this class can do here, where everything is loaded: names of methods and of events.
local function abilities(object)
  local methods, events = {}, {}
  local class = getmetatable(object)
  for name, value in pairs(class) do
    if name == "__share" then value = nil end -- the core's own: what is sent again needs no sharing
    if type(name) == "string" and type(value) == "function" then
      local list = name:find "^__" and events or methods
      list[#list + 1] = name
    end
  end
  return methods, events
end

-- Runs in a new worker, one first use each.
local function lacks(object, methods, events)
  local missing = {}
  for _, name in ipairs(methods) do
    if type(object[name]) ~= "function" then missing[#missing + 1] = name end
  end
  for _, name in ipairs(events) do
    if rawget(getmetatable(object), name) == nil then missing[#missing + 1] = name end
  end
  return table.concat(missing, " ")
end

-- The first thing that a worker does with each kind of object.
local firsts = {
  { "queue", function(q) q:put_many { 1, 2 } return q:size() end, 2 },
  { "queue", function(q) q:close() return q:closed() end, true },
  { "lock", function(l) return l:with(function() return l:locked() end) end, true },
  { "semaphore", function(s) return s:with(function() return "held" end) end, "held" },
  { "condition", function(c) return c:with(function() return "held" end) end, "held" },
  { "event", function(e) e:set() return e:is_set() end, true },
  { "counter", function(c) return c:add(2) end, 5 },
  { "dict", function(d) return d:update("x", function() return 7 end) end, 7 },
  { "array", function(a) return (a * 2)[4] end, 8 },
  { "array", function(a) return (2 - a)[4] end, -2 },
  { "array", function(a) return (-a)[4] end, -4 },
  { "array", function(a) return a:reshape(2, 2)[2][2] end, 4 },
  { "array", function(a) return a.shape[1] end, 4 },
  { "array", function(a) return #a end, 4 },
  { "array", function(a) return a.nothing == nil end, true },
  { "array", function(a) return select(2, pcall(function() return a + {} end)).kind end, "misuse" },
  { "matrix", function(m) return (m + m)[2][1] end, 6 },
  { "matrix", function(m) return (2 ^ m)[1][2] end, 4 },
  { "matrix", function(m) return m:reshape(4)[3] end, 3 },
}

for _, kind in ipairs { "threads", "processes" } do
  describe("in a new worker, " .. kind, function()
    -- Each job has a new state.
    local function pool() return braid.pool(kind, { workers = 1, max_jobs_per_worker = 1 }) end

    for name, make in pairs(makers) do
      helper.test(name .. " has all its methods", function()
        require "braid.kernels.matrices"
        helper.run(function()
          local workers <close> = pool()
          local object = make()
          assert.equal("", workers:submit(lacks, object, abilities(object)):result())
        end)
      end)
    end

    helper.test("the first use of an object may be of any kind", function()
      helper.run(function()
        local workers <close> = pool()
        for i, first in ipairs(firsts) do
          local name, use, expected = table.unpack(first)
          local got = workers:submit(use, makers[name]()):result()
          assert.equal(expected, got, name .. " " .. i)
        end
      end)
    end)

    helper.test("an operator of a large array may wait", function()
      helper.run(function()
        local workers <close> = pool()
        local large = braid.array("f64", 2000000):fill(3)
        assert.equal(6, workers:submit(function(a) return (a * 2)[2000000] end, large):result())
      end)
    end)
  end)
end

describe("what a fresh worker does first", function()
  for _, kind in ipairs { "threads", "processes" } do
    helper.test("may be a chunk of map whose errors cannot be sent whole: " .. kind, function()
      helper.run(function()
        local workers <close> = braid.pool(kind, 1)
        local function fail(n) error { code = n, file = io.stdout } end
        local _, failures = workers:map(fail, { 1, 2, 3 }, { return_errors = true, chunk = 3 })
        for i = 1, 3 do assert.equal(i, failures[i].code) end
      end)
    end)

    helper.test("may be an error of the core that is shown as text: " .. kind, function()
      helper.run(function()
        local workers <close> = braid.pool(kind, 1)
        local function text(queue)
          local _, err = queue:try_get()
          return tostring(err)
        end
        assert.matches("nothing is there", workers:submit(text, braid.queue(1)):result())
      end)
    end)
  end
end)
