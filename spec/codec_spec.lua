-- SPDX-License-Identifier: MIT
-- What travels between Lua states: values, functions, names, shared objects, and what is refused. The other state is a
-- second one in this process (spec/ship.c).
local helper = require "spec.helper"
local braid = require "braid"
local core = require "braid.core"
local ship = require "ship"
local test, run = helper.test, helper.run
local describe, assert = describe, assert

-- What is sent must not take the test runner's environment along.
local _ENV = _G -- luacheck: ignore 231

---What comes back when `code` runs in another state with the values as `...`.
local function there(code, ...)
  local state <close> = ship.state()
  return core.decode(state:run(code, core.encode(...)))
end

local function copy(...) return core.decode(core.encode(...)) end

-- The message of an error without the line, which is one of ours.
local function at_line(err)
  local line, message = err.message:match "^(%S+:%d+): (.*)$"
  assert.matches("codec_spec.lua:", line, 1, true)
  return message
end

local function refused(message, ...)
  local ok, err = pcall(core.encode, ...)
  assert.is_false(ok, "it was sent")
  assert.is_true(braid.is_error(err, "not_sendable"), tostring(err))
  assert.equal(message, at_line(err))
end

-- Whether two values are the same but for the identity of tables; these must correspond one to one.
local function alike(a, b, map)
  map = map or {}
  if type(a) ~= "table" or type(b) ~= "table" then
    return math.type(a) == math.type(b) and (a == b or (a ~= a and b ~= b)) and
      (a ~= 0 or 1 / a == 1 / b)
  end
  if map[a] or map[b] then return map[a] == b and map[b] == a end
  map[a], map[b] = b, a
  if #a ~= #b or not alike(getmetatable(a), getmetatable(b), map) then return false end
  local count, tables = 0, {}
  for key, value in pairs(a) do
    count = count + 1
    if type(key) == "table" then
      tables[#tables + 1] = key
    elseif not alike(value, rawget(b, key), map) then
      return false
    end
  end
  for key in pairs(b) do
    count = count - 1
    if type(key) == "table" then
      local found = false -- table keys of the tests are told apart by their field `name`
      for _, other in ipairs(tables) do
        if other.name == key.name then found = alike(other, key, map) and alike(a[other], b[key], map) end
      end
      if not found then return false end
    end
  end
  return count == 0
end

describe("values", function()
  test("numbers keep subtype and bits", function()
    local numbers = { 0, 1, -1, 127, 128, 255, 256, -128, 32767, 32768, -32768, -32769, 2147483647, 2147483648,
      -2147483648, -2147483649, 2 ^ 53 | 0, (2 ^ 53 | 0) + 1, math.maxinteger, math.mininteger, 0.0, -0.0, 1.0, 2 ^ 53,
      0.1, 1e308, 5e-324, math.huge, -math.huge, 0 / 0 }
    assert.is_true(alike(numbers, (there("return ...", numbers))))
    assert.same({ "integer", "float", "float" }, { there("local a, b, c = ...; return math.type(a), math.type(b), " ..
      "math.type(c)", 1, 1.0, 2 ^ 53) })
    assert.is_true(there("return 1 / ... < 0", -0.0))
    local keyed = { [2 ^ 53 | 0] = "a", [2 ^ 53 + 2.0] = "b", [0.5] = "c", [math.mininteger] = "d" }
    assert.is_true(alike(keyed, (there("return ...", keyed))))
  end)

  test("nil, booleans and null, also as results that are counted", function()
    assert.equal(5, select("#", there("return ...", nil, false, true, nil, nil)))
    local a, b, c, d = there("return ...", nil, false, true, braid.null)
    assert.is_nil(a)
    assert.is_false(b)
    assert.is_true(c)
    assert.equal(braid.null, d)
    assert.is_true(there("return ... == require('braid.core').null", braid.null))
    assert.equal(0, select("#", there("return ...")))
  end)

  test("strings of any bytes and any length", function()
    local all = {}
    for i = 0, 255 do all[#all + 1] = string.char(i) end
    all = table.concat(all)
    for _, text in ipairs { "", "a", "ab", "abc", "\0", all, all:rep(40), ("x"):rep(39), ("x"):rep(40), ("x"):rep(41),
      ("x"):rep(127), ("x"):rep(128), ("x"):rep(16383), ("x"):rep(16384), ("x"):rep(1 << 20) } do
      assert.is_true(there("return ... ", text) == text)
    end
  end)

  test("a long string that is mentioned often is sent once", function()
    local text, list = ("x"):rep(100000), {}
    for i = 1, 100 do list[i] = text end
    local parcel = core.encode(list)
    assert.is_true(#parcel < 101000, #parcel)
    assert.is_true(alike(list, (core.decode(parcel))))
  end)
end)

describe("tables", function()
  test("lists, records and mixtures", function()
    for _, value in ipairs { {}, { 1, 2, 3 }, { a = 1, b = { c = "d" } }, { { { {} } } },
      { 1, "two", three = 3, [4.5] = true, [false] = 0 }, { [1] = 1, [2] = 2, [100] = 100 },
      { [-1] = 1, [0] = 2, [1] = 3 } } do
      assert.is_true(alike(value, (there("return ...", value))))
    end
  end)

  test("of every size up to 70, as lists and as records", function()
    for n = 0, 70 do
      local list, record = {}, {}
      for i = 1, n do list[i], record["key" .. i] = i, i end
      assert.is_true(alike({ list, record }, (copy({ list, record }))))
    end
  end)

  test("holes stay where they are, and so does the length", function()
    local lists = { { nil, nil, 3 }, { 1, nil, 3 }, { 1, nil, 3, nil }, { nil, 2 }, { 1, 2, nil, nil, 5, 6 },
      { [3] = 1 }, table.pack(nil, 1, nil, 2, nil), { [2] = 1, [4] = 2 } }
    local removed = {}
    for i = 1, 100 do removed[i] = i end
    for i = 2, 99 do removed[i] = nil end
    lists[#lists + 1] = removed
    for i, list in ipairs(lists) do
      local received = there("return ...", list)
      assert.is_true(alike(list, received), "list " .. i)
      assert.equal(#list, there("return #...", list), "list " .. i)
    end
  end)

  test("sparse integers do not become a huge array", function()
    local sparse = {}
    for i = 0, 62 do sparse[1 << i] = i end
    local parcel = core.encode(sparse, ("x"):rep(10 << 20))
    local before = collectgarbage("count")
    local received, text = core.decode(parcel)
    assert.is_true(collectgarbage("count") - before < 11 << 10)
    assert.is_true(alike(sparse, received))
    assert.equal(10 << 20, #text)
  end)

  test("shared parts stay shared, cycles stay cycles", function()
    local shared = { "shared" }
    local a = { one = shared, two = shared, list = { shared, shared } }
    a.self, a.list[3] = a, a
    local b = there("return ...", a)
    assert.is_true(alike(a, b))
    assert.is_true(b.self == b and b.list[3] == b and b.one == b.two and b.one == b.list[1])
    local first, second = there("return ...", shared, shared)
    assert.is_true(first == second and first ~= shared)
  end)

  test("tables as keys, also in a cycle", function()
    local key = { name = "key" }
    key[key] = key
    local value = { [key] = { key }, [{ name = "other" }] = 1 }
    assert.is_true(alike(value, (there("return ...", value))))
    local received = there("return ...", key)
    assert.is_true(received[received] == received)
  end)

  test("metatables, shared and in cycles", function()
    local class = { name = "class", __index = function(self, name) return name .. rawget(self, "suffix") end }
    class.__add = function(a, b) return a.suffix .. b.suffix end
    class.default = setmetatable({ suffix = "0" }, class)
    local a, b = setmetatable({ suffix = "1" }, class), setmetatable({ suffix = "2" }, class)
    assert.equal("x1", (there("return (...).x", a)))
    assert.equal("12", (there("local a, b = ...; return a + b", a, b)))
    assert.is_true(there("local a, b = ...; local m = getmetatable(a); return m == getmetatable(b) and " ..
      "m == getmetatable(m.default) and m ~= nil", a, b))
    local own = {}
    setmetatable(own, own)
    assert.is_true(there("return getmetatable(...) == ...", own))
    local locked = setmetatable({}, { __metatable = "locked" })
    assert.equal("locked", (there("return getmetatable(...)", locked)))
  end)

  test("weak tables and close metamethods work over there", function()
    local weak = setmetatable({}, { __mode = "k" })
    assert.is_nil(there("local t = ...; t[{}] = 1; collectgarbage(); return next(t)", weak))
    assert.equal("closed", (there([[
      local make, result = ...
      do local x <close> = make(function(s) result = s end) end
      return result
    ]], function(call) return setmetatable({}, { __close = function() call("closed") end }) end)))
  end)

  test("a million deep", function()
    local depth = os.getenv "BRAID_GC" and 20000 or 1000000 -- the fiercest collector looks at all of it again and again
    for _, step in ipairs { "field", "key", "metatable" } do
      local top = {}
      local at = top
      for _ = 1, depth do
        local inner = {}
        if step == "field" then at.x = inner
        elseif step == "key" then at[inner] = true
        else setmetatable(at, inner) end
        at = inner
      end
      at.bottom = true
      local count, found = 0, copy(top)
      while not rawget(found, "bottom") do
        if step == "field" then found = found.x
        elseif step == "key" then found = next(found)
        else found = getmetatable(found) end
        count = count + 1
      end
      assert.equal(depth, count)
    end
  end, { deadline = 60 })

  test("a million tables", function()
    local list, count = {}, os.getenv "BRAID_GC" and 100000 or 1000000
    for i = 1, count do list[i] = { i } end
    local received = copy(list)
    assert.equal(count, #received)
    for i = 1, count, 99999 do assert.equal(i, received[i][1]) end
  end, { deadline = 60 })

  test("deep and wide: what comes later comes to its place", function()
    local function tree(depth)
      if depth == 0 then return { leaf = true } end
      return { tree(depth - 1), tree(depth - 1), name = "n" .. depth }
    end
    local value = tree(8)
    for i = 1, 250 do value = { i, value, { value }, last = { deeper = { i } } } end
    assert.is_true(alike(value, (copy(value))))
  end)
end)

describe("random structures", function()
  local function random_value(random, tables, depth)
    local kind = random(depth > 0 and 12 or 8)
    if kind == 1 then return random(2) == 1 end
    if kind == 2 then return random(math.mininteger, math.maxinteger) end
    if kind == 3 then return random(-200, 200) end
    if kind == 4 then return random() * 2.0 ^ random(-60, 60) end
    if kind == 5 then return ("s"):rep(random(0, 60)) .. random(9) end
    if kind == 6 then return braid.null end
    if kind == 7 then return random(0, 1 << random(0, 62)) end
    if kind == 8 then return #tables > 0 and tables[random(#tables)] or 0.5 end
    local made = { name = #tables }
    tables[#tables + 1] = made
    for i = 1, random(0, 12) do made[i] = random_value(random, tables, depth - 1) end
    for _ = 1, random(0, 6) do
      local key = random_value(random, tables, depth - 1)
      if key == key then made[key] = random_value(random, tables, depth - 1) end
    end
    if random(5) == 1 then setmetatable(made, tables[random(#tables)]) end
    return made
  end

  test("come back as they were", function()
    for seed = 1, 300 do
      math.randomseed(seed)
      local values = { name = "root" }
      for i = 1, 5 do values[i] = random_value(math.random, {}, 4) end
      assert.is_true(alike(values, (copy(values))), "seed " .. seed)
    end
  end, { deadline = 60 })

  test("damaged bytes are refused or give other values, never a crash", function()
    local state <close> = ship.state()
    local function sample(seed)
      math.randomseed(seed)
      local n = 0
      local function count() n = n + 1 return count end
      return core.encode({ random_value(math.random, {}, 4), count, function() return n end, braid.counter(),
        setmetatable({}, { __braid_pack = function() return table.pack, 1, { 2 } end }), seed }, string.format)
    end
    for seed = 1, 3000 do
      local parcel = sample(seed % 30)
      for _ = 1, math.random(3) do ship.damage(parcel, math.random(0, #parcel - 1), math.random(0, 255)) end
      if seed % 3 == 0 then ship.cut(parcel, math.random(0, #parcel)) end
      pcall(core.decode, parcel)
      pcall(state.run, state, "", parcel)
    end
    local parcel = sample(1)
    for size = #parcel - 1, 0, -1 do
      ship.cut(parcel, size)
      local ok, err = pcall(core.decode, parcel)
      assert.is_false(ok)
      assert.is_true(braid.is_error(err, "not_sendable"), tostring(err))
    end
  end, { deadline = 60 })
end)

describe("functions", function()
  test("run over there, with upvalues", function()
    local base, names = 10, { "a", "b" }
    local function add(n) return n + base, #names, names[2] end
    assert.same({ 15, 2, "b" }, { there("return (...)(5)", add) })
  end)

  test("upvalues that are shared stay shared, and leave ours alone", function()
    local n = 0
    local function up() n = n + 1 return n end
    local function get() return n end
    assert.same({ 1, 2, 2 }, { there("local up, get = ...; return up(), up(), get()", up, get) })
    assert.equal(0, get())
    local box = { up = up, get = get, nested = { function() n = n + 10 end } }
    assert.equal(11, (there("local box = ...; box.up(); box.nested[1](); return box.get()", box)))
  end)

  test("recursion, also through another function", function()
    local function factorial(n) return n < 2 and 1 or n * factorial(n - 1) end
    assert.equal(3628800, (there("return (...)(10)", factorial)))
    local even, odd
    function even(n) if n == 0 then return true end return odd(n - 1) end
    function odd(n) if n == 0 then return false end return even(n - 1) end
    assert.is_true(there("return (...)(100)", even))
  end)

  test("_ENV is the globals of the state it comes to", function()
    local function set() marker_of_a_test = 7 end -- luacheck: ignore
    local function get() return marker_of_a_test end -- luacheck: ignore
    local mixed = 5
    local function both() return marker_of_a_test, mixed end -- luacheck: ignore
    assert.same({ 7, 7, 7, 5 }, { there("local set, get, both = ... set() return marker_of_a_test, get(), both()",
      set, get, both) })
    assert.is_nil(get())
    assert.is_true(there("return ... == _G", _G))
    assert.is_true(there("return (...)[1] == _G", { _G }))
  end)

  test("an environment of one's own travels as the table it is", function()
    local function make(_ENV) return function() x = (x or 0) + 1 return x, y end end -- luacheck: ignore
    local f, g = make({ y = "y" }), load("return x", "g", "t", { x = "mine" })
    assert.same({ 1, "y" }, { there("return (...)()", f) })
    assert.equal("mine", (there("return (...)()", g)))
    local only = load("x = 1", "only", "t", {})
    assert.is_nil(there("(...)(); return x", only))
  end)

  test("a variable that happens to be the globals is shared like any other", function()
    local at = _G
    local function get() return at end
    local function set(value) at = value end
    assert.equal(7, (there("local get, set = ...; assert(get() == _G); set(7); return get()", get, set)))
  end)

  test("every upvalue is set: none is left to load's own idea", function()
    local first, second, nothing = nil, "second", nil
    local function f() return first, second, nothing, _VERSION end -- an _ENV that is not the first upvalue
    assert.same({ nil, "second", nil, "Lua 5.4" }, { there("return (...)()", f) })
    local function g() return first end
    assert.is_nil(there("return (...)()", g))
  end)

  test("205 upvalues", function()
    local source = { "local function outer(" } -- a function may have 200 variables, so they stand in several
    for i = 1, 100 do source[#source + 1] = (i > 1 and "," or "") .. "a" .. i end
    source[#source + 1] = ") return function("
    for i = 1, 100 do source[#source + 1] = (i > 1 and "," or "") .. "b" .. i end
    source[#source + 1] = ") local c1,c2,c3,c4,c5 = 1,2,3,4,5 return function() return 0"
    for i = 1, 100 do source[#source + 1] = (" + a%d + b%d"):format(i, i) end
    source[#source + 1] = " + c1 + c2 + c3 + c4 + c5 end end end return outer"
    local outer = assert(load(table.concat(source)))()
    local numbers = {}
    for i = 1, 100 do numbers[i] = i end
    local f = outer(table.unpack(numbers))(table.unpack(numbers))
    assert.equal(5050 * 2 + 15, (there("return (...)()", f)))
  end)

  test("keep their debug information", function()
    local function fails() error("here") end
    local info = debug.getinfo(fails, "S")
    local ok, text = there("return pcall(...)", fails)
    assert.is_false(ok)
    assert.equal(("%s:%d: here"):format(info.short_src, info.linedefined), text)
    local parameter = there("return debug.getlocal(..., 1)", function(parameter) return parameter end)
    assert.equal("parameter", parameter)
  end)

  test("one that has no state of its own is loaded once", function()
    local state <close> = ship.state()
    local function f() return _VERSION end
    state:run("first = ...", core.encode(f))
    assert.is_true(core.decode(state:run("return first == ...", core.encode(f))))
    assert.is_true(there("local a, b = ...; return a == b", f, f))
    state:run("first = nil; collectgarbage(); collectgarbage()", core.encode())
    assert.equal("Lua 5.4", (core.decode(state:run("return (...)()", core.encode(f)))))
    -- a job that assigns to _ENV does not take the globals from the next one
    local function spoil() local seen = _VERSION _ENV = { _VERSION = "spoilt" } return seen end -- luacheck: ignore
    assert.same({ "Lua 5.4", "Lua 5.4" }, { core.decode(state:run("return (...)()", core.encode(spoil))),
      core.decode(state:run("return (...)()", core.encode(spoil))) })
  end)

  test("one with upvalues is a new one each time", function()
    local state <close> = ship.state()
    local n = 0
    local function count() n = n + 1 return n end
    for _ = 1, 2 do assert.equal(1, (core.decode(state:run("return (...)()", core.encode(count))))) end
    n = 5
    assert.equal(6, (core.decode(state:run("return (...)()", core.encode(count)))))
  end)

  test("stripped ones, and those of load", function()
    local f = load(string.dump(function(a) return a, _VERSION end, true))
    assert.same({ 1, "Lua 5.4" }, { there("return (...)(1)", f) })
    assert.equal(3, (there("return (...)(1, 2)", load("local a, b = ... return a + b"))))
  end)

  test("ten thousand in a chain of upvalues", function()
    local function link(next, i) return function() return next, i end end
    local chain = false
    for i = 1, 10000 do chain = link(chain, i) end
    local f, count = there("local f, n = ..., 0; while f do f = f(); n = n + 1 end return n", chain), 0
    assert.equal(10000, f)
    local at = copy(chain)
    while at do
      local i
      at, i = at()
      count = count + 1
      assert.equal(10001 - count, i)
    end
  end)

  test("a variable that is shared far down is shared far down", function()
    local n = 0
    local deep = { up = function() n = n + 1 end, get = function() return n end }
    for i = 1, 300 do deep = { deep, i, function() n = n + 100 return deep end } end
    local received = copy(deep)
    local inner = received
    while inner[1] do inner = inner[1] end
    inner.up()
    received[3]()
    received[1][1][3]()
    assert.equal(201, inner.get())
    assert.equal(0, n)
  end)
end)

describe("names", function()
  test("modules and their functions are required over there", function()
    assert.is_true(there([[
      local s, format, insert, p, e = ...
      return s == string and format == string.format and insert == table.insert and p == print and e == require
    ]], string, string.format, table.insert, print, require))
    local lfs = require "lfs"
    assert.is_true(there("return ... == require('lfs')", lfs))
    assert.is_true(there("return ... == require('lfs').currentdir", lfs.currentdir))
    local function uses() return lfs.currentdir() == lfs.currentdir() and lfs end
    assert.is_true(there("return (...)() == require('lfs')", uses))
  end)

  test("a module that was loaded a moment ago is known, wherever it is met first", function()
    for i = 1, 3 do
      local name = "codec_spec_fresh" .. i
      package.preload[name] = function() return { touch = function() return name end, file = io.stdout } end
      finally(function() package.preload[name], package.loaded[name] = nil, nil end)
      copy(1, {}, function() end)
      local fresh = require(name)
      local value = ({ fresh, function() return fresh end, { { fresh.touch, fresh } } })[i]
      local received = copy(value)
      assert.is_true(({ received, i == 2 and received(), i == 3 and received[1][2] })[i] == fresh)
    end
  end)

  test("Lua functions of a module go by name, with the state of the module that is there", function()
    local errors = require "braid.errors"
    assert.is_true(there("return ... == require('braid.errors').misuse", errors.misuse))
    assert.is_true(copy(errors.misuse) == errors.misuse)
  end)

  test("classes of modules go by name, as metatables and as values", function()
    package.preload.codec_spec_classes = load [[
      local Point = {}
      Point.__index = Point
      function Point:sum() return self.x + self.y end
      return { Point = Point, defaults = { x = 1 } }
    ]]
    finally(function() package.preload.codec_spec_classes, package.loaded.codec_spec_classes = nil, nil end)
    local module = require "codec_spec_classes"
    local point = setmetatable({ x = 1, y = 2 }, module.Point)
    local received, class, sum, defaults = copy(point, module.Point, module.Point.sum, module.defaults)
    assert.is_true(getmetatable(received) == module.Point and class == module.Point and sum == module.Point.sum)
    assert.equal(3, received:sum())
    assert.is_true(defaults ~= module.defaults) -- data: the present content is meant
    local _, err = pcall(there, "", point)
    assert.truthy(tostring(err):find("module 'codec_spec_classes' travels by its name, and cannot be loaded", 1, true))
  end)

  test("a name that is not there is told", function()
    package.preload.codec_spec_gone = function() return { present = function() end } end
    finally(function() package.preload.codec_spec_gone, package.loaded.codec_spec_gone = nil, nil end)
    local gone = require "codec_spec_gone"
    local parcel = core.encode(gone.present)
    gone.present = nil
    local ok, err = pcall(core.decode, parcel)
    assert.is_false(ok)
    assert.is_true(braid.is_error(err, "not_sendable"))
    assert.equal("codec_spec_gone.present travels by its name, and is not there in this state", err.message)
  end)

  test("what a script defines as a global travels itself", function()
    rawset(_G, "codec_spec_global", function() return "mine" end)
    finally(function() rawset(_G, "codec_spec_global", nil) end)
    assert.equal("mine", (there("return (...)()", codec_spec_global))) -- luacheck: ignore
  end)

  test("errors stay errors, with all their fields", function()
    local errors = require "braid.errors"
    local cause = errors.new("timeout", "too late")
    local err = errors.new("limit", "no more", { cause = cause, where = { "a" } })
    local received = there([[
      local braid = require "braid"
      local err = ...
      assert(braid.is_error(err, "limit") and braid.is_error(err.cause, "timeout") and tostring(err) == "no more")
      return err
    ]], err)
    assert.is_true(braid.is_error(received, "limit"))
    assert.is_true(alike(err, received))
  end)

  test("a class of the registry goes by its name", function()
    local registry = debug.getregistry()
    registry.codec_spec_class = { __name = "codec_spec_class", __index = { hello = "hello" } }
    finally(function() registry.codec_spec_class = nil end)
    local parcel = core.encode(setmetatable({}, registry.codec_spec_class))
    assert.is_true(getmetatable(core.decode(parcel)) == registry.codec_spec_class)
    local _, err = pcall(there, "", setmetatable({}, registry.codec_spec_class))
    assert.truthy(tostring(err):find("the class codec_spec_class is not registered in this state", 1, true))
  end)
end)

describe("refused, with the way to it:", function()
  local co = coroutine.create(function() end)
  local file = io.stdout

  test("at the top", function()
    refused("argument 1: coroutine cannot be sent", co)
    refused("argument 2: userdata (FILE*) cannot be sent", 1, file)
    refused("argument 1: C function cannot be sent: it is not a field of a loaded module", ("x"):gmatch("x"))
  end)

  test("in tables", function()
    refused("argument 2 -> .opts.logger.file: userdata (FILE*) cannot be sent", 1,
      { opts = { logger = { file = file } } })
    refused("argument 1 -> [3][1]: coroutine cannot be sent", { 1, 2, { co } })
    refused('argument 1 -> ["two words"]: coroutine cannot be sent', { ["two words"] = co })
    refused("argument 1 -> [1.5][true]: coroutine cannot be sent", { [1.5] = { [true] = co } })
    refused("argument 1 -> [table]: coroutine cannot be sent", { [{}] = co })
    refused("argument 1 -> .a (key): coroutine cannot be sent", { a = { [co] = 1 } })
    refused("argument 1 -> (key).x: coroutine cannot be sent", { [{ x = co }] = 1 })
    refused("argument 1 -> (metatable).__index.file: userdata (FILE*) cannot be sent",
      setmetatable({}, { __index = { file = file } }))
  end)

  test("in upvalues", function()
    local log = { file = file }
    local function write() return log end
    refused("argument 1 -> (upvalue log).file: userdata (FILE*) cannot be sent", write)
    refused("argument 1 -> .callbacks[1] (upvalue write) (upvalue log).file: userdata (FILE*) cannot be sent",
      { callbacks = { function() return write() end } })
  end)

  test("far down, where the middle of the way is left out", function()
    local value = { bottom = co }
    for _ = 1, 30 do value = { x = value } end
    refused("argument 1 -> " .. (".x"):rep(30) .. ".bottom: coroutine cannot be sent", value)
    for _ = 1, 1000 do value = { y = value } end
    refused("argument 1 -> " .. (".y"):rep(20) .. " ... 991 more ... " .. (".x"):rep(19) ..
      ".bottom: coroutine cannot be sent", value)
    local n = 0
    local wide = { list = {} }
    for i = 1, 3 do wide.list[i] = { deep = value } value = { y = value, n = n } end
    local ok, err = pcall(core.encode, wide)
    assert.is_false(ok)
    assert.truthy(err.message:find("argument 1 -> .list[1].deep.y.y", 1, true))
  end)

  test("tasks, and what the debug library could make", function()
    run(function()
      local task = braid.spawn(function() end)
      refused("argument 1 -> .task: userdata (braid.task) cannot be sent", { task = task })
      task:result()
    end)
  end)

  test("and the next one goes through", function()
    for _ = 1, 10 do
      pcall(core.encode, { {}, co })
      assert.is_true(alike({ 1, { 2 } }, (copy({ 1, { 2 } }))))
    end
  end)
end)

describe("__braid_pack", function()
  local class = {}
  class.__index = class
  class.__braid_pack = function(self)
    local text = self.text
    return function(...)
      return setmetatable({ unpacked = text, extra = { ... } }, { __index = { is_unpacked = true } })
    end, table.unpack(self.extra)
  end
  local function packed(text, ...) return setmetatable({ text = text, extra = { ... }, bad = io.stdout }, class) end

  test("gives a function and values that make the value over there", function()
    local received, again, list = there("return ...", packed("a", 1, { 2 }), packed("b"), {})
    assert.equal("a", received.unpacked)
    assert.is_true(received.is_unpacked and alike({ 1, { 2 } }, received.extra))
    assert.equal("b", again.unpacked)
    assert.same({}, list)
  end)

  test("one that is mentioned twice is made once", function()
    local value = packed("x")
    local a, b = copy(value, { value })
    assert.is_true(a == b[1])
    assert.equal("x", a.unpacked)
  end)

  test("packed values inside each other, and with deep values", function()
    local value = packed("0")
    for i = 1, 8 do value = packed(tostring(i), { { value } }) end
    local received = copy(value)
    for i = 8, 1, -1 do
      assert.equal(tostring(i), received.unpacked)
      received = received.extra[1][1][1]
    end
    local deep = { bottom = true }
    for _ = 1, 1000 do deep = { deep } end
    local measured = setmetatable({}, { __braid_pack = function()
      return function(top)
        local depth = 0
        while not top.bottom do top, depth = top[1], depth + 1 end
        return depth
      end, deep
    end })
    assert.equal(1000, (copy(measured)))
    for _ = 1, 150 do measured = { measured } end
    local at = copy(measured)
    for _ = 1, 150 do at = at[1] end
    assert.equal(1000, at)
    for i = 1, 20 do value = packed(tostring(i), value) end
    assert.is_false((pcall(core.encode, value)))
  end)

  test("of userdata", function()
    local meta = debug.getmetatable(io.stdout)
    meta.__braid_pack = function() return load("return io.stdout") end
    finally(function() meta.__braid_pack = nil end)
    assert.is_true(there("return ... == io.stdout", io.stdout))
  end)

  test("what it may not return", function()
    refused("argument 1: its __braid_pack did not return a function",
      setmetatable({}, { __braid_pack = function() end }))
    refused("argument 1: its __braid_pack did not return a function",
      setmetatable({}, { __braid_pack = function() return 1 end }))
    local own = setmetatable({}, { __braid_pack = function(self) return print, { self } end })
    refused("argument 1 -> (packed 2)[1]: what __braid_pack returned mentions the packed value itself", own)
    refused("argument 1 -> .p (packed 3).x: userdata (FILE*) cannot be sent",
      { p = setmetatable({}, { __braid_pack = function() return print, 1, { x = io.stdout } end }) })
    local ok, err = pcall(core.encode, setmetatable({}, { __braid_pack = function() error("own error", 0) end }))
    assert.is_false(ok)
    assert.equal("own error", err)
    assert.is_true(alike({ {} }, (copy({ {} }))))
  end)

  test("an error of the function over there is raised there", function()
    local ok, err = pcall(copy, setmetatable({}, { __braid_pack = function() return error, "over there" end }))
    assert.is_false(ok)
    assert.equal("over there", err)
  end)
end)

describe("shared objects", function()
  local function each()
    local lock = braid.lock()
    return { queue = braid.queue(), lock = lock, semaphore = braid.semaphore(2), event = braid.event(),
      condition = braid.condition(lock), barrier = braid.barrier(2), counter = braid.counter(5) }
  end

  test("are the same object when they come back", function()
    local objects = each()
    for name, object in pairs(objects) do
      assert.is_true(copy(object) == object, name)
      assert.is_true(there("return ...", object) == object, name)
      assert.is_true(there("return (...)[1]", { object, object }) == object, name)
    end
  end)

  test("have one box in each state", function()
    local state <close> = ship.state()
    for _, object in pairs(each()) do
      state:run("kept = ...", core.encode(object))
      assert.is_true(core.decode(state:run("return kept == ... and kept == (...)", core.encode(object))))
      assert.is_true(core.decode(state:run("local t = ...; return t.a == kept and t[kept]", core.encode({ a = object,
        [object] = true }))))
    end
  end)

  test("do over there what they do here", function()
    local objects = each()
    there([[
      require "braid"
      local o = ...
      o.queue:put("hello"); o.queue:put({ 1, { 2 } })
      o.event:set()
      o.counter:add(2)
      assert(o.semaphore:try_acquire())
      assert(o.lock:try_acquire()); o.lock:release()
    ]], objects)
    assert.equal("hello", objects.queue:get(0))
    assert.is_true(alike({ 1, { 2 } }, (objects.queue:get(0))))
    assert.is_true(objects.event:is_set())
    assert.equal(7, objects.counter:get())
    assert.equal(1, objects.semaphore:value())
    assert.is_false(objects.lock:locked())
  end)

  test("a condition takes its lock along", function()
    local lock = braid.lock()
    local condition = braid.condition(lock)
    assert.is_true(copy(condition):lock() == lock)
    local state <close> = ship.state()
    state:run("condition = ...; lock = condition:lock()", core.encode(condition))
    assert.is_true(core.decode(state:run("return ... == lock and condition:lock() == lock", core.encode(lock))))
    assert.is_true(core.decode(state:run("return lock", core.encode())) == lock)
  end)

  test("outlive the state that made them", function()
    local queue = there("local q = require('braid').queue(); q:put({ 'kept' }); return q")
    collectgarbage()
    assert.equal("kept", queue:get(0)[1])
    queue:put({ queue })
    assert.is_true(queue:get(0)[1] == queue)
  end)
end)

describe("a queue", function()
  test("passes by reference until it is sent, and copies from then on", function()
    local queue, item = braid.queue(), { "item", print }
    queue:put(item)
    assert.is_true(queue:get() == item)
    core.encode(queue)
    queue:put(item)
    local received = queue:get()
    assert.is_true(received ~= item and alike(item, received))
    item[1] = "later"
    queue:put(item)
    item[1] = "too late"
    assert.equal("later", queue:get()[1])
  end)

  test("takes along what is in it", function()
    for _, order in ipairs { "fifo", "lifo", "priority" } do
      local queue = braid.queue(0, { order = order })
      for _, n in ipairs { 3, 1, 2 } do queue:put({ n, "item" .. n }) queue:put(n) end
      local got = there([[
        local queue, got = ..., {}
        while not queue:is_empty() do
          local item = queue:get(0)
          got[#got + 1] = type(item) == "table" and item[2] or item
        end
        return table.concat(got, " ")
      ]], queue)
      assert.equal(({ fifo = "item3 3 item1 1 item2 2", lifo = "2 item2 1 item1 3 item3",
        priority = "item1 1 item2 2 item3 3" })[order], got)
    end
  end)

  test("takes along what its putters wait with", function()
    run(function()
      local queue, puts = braid.queue(1), {}
      queue:put({ 0 })
      for i = 1, 3 do puts[i] = braid.spawn(function() return queue:put({ i }) end) end
      puts[4] = braid.spawn(function() return braid.select({ { queue, "put", { 4 } } }) end)
      puts[5] = braid.spawn(function() return queue:put({ 5 }, 0.01) end)
      braid.sleep(0)
      there([[
        local queue = ...
        for i = 0, 2 do assert(queue:get(0)[1] == i) end
      ]], queue)
      assert.is_true(puts[1]:result())
      assert.is_true(puts[2]:result())
      braid.sleep(0.02)
      assert.equal(3, queue:get(0)[1])
      assert.equal(4, queue:get(0)[1])
      assert.is_true(queue:is_empty())
      assert.is_nil(puts[5]:result())
    end)
  end)

  test("hands over to a get that waits here, from there", function()
    run(function()
      local queue = braid.queue()
      local got = braid.spawn(function() return queue:get() end)
      braid.sleep(0)
      there("(...):put({ 'from there' })", queue)
      assert.equal("from there", got:result(1)[1])
    end)
  end)

  test("is not sent with an item that cannot be, and goes on by reference", function()
    local queue, item = braid.queue(), { file = io.stdout }
    queue:put({ 1 })
    queue:put(item)
    local ok, err = pcall(core.encode, { queue })
    assert.is_false(ok)
    assert.is_true(braid.is_error(err, "not_sendable"))
    assert.equal("argument 1 -> [1]: item -> .file: userdata (FILE*) cannot be sent", at_line(err))
    assert.equal(1, queue:get(0)[1])
    assert.is_true(queue:get(0) == item)
    queue:put(item)
    assert.is_true(queue:get(0) == item)
    assert.is_true(copy(queue) == queue)
  end)

  test("refuses an item once it is shared", function()
    local queue = braid.queue(1)
    core.encode(queue)
    local ok, err = pcall(queue.put, queue, { co = coroutine.create(print) })
    assert.is_false(ok)
    assert.equal("item -> .co: coroutine cannot be sent", at_line(err))
    assert.equal(0, queue:size())
    queue:put(1)
    assert.is_nil((queue:try_put({ 2 })))
    assert.is_nil((queue:put({ 2 }, 0)))
    assert.is_nil((queue:put({ 2 }, 0.001)))
    run(function() assert.is_false((pcall(table.sort, { 2, 1 }, function() return queue:put({ 3 }) end))) end)
  end)

  test("tells a get what cannot be made over there, and is rid of it", function()
    package.preload.codec_spec_missing = function() return { call = function() end } end
    local queue = braid.queue()
    core.encode(queue)
    queue:put((require("codec_spec_missing")))
    package.preload.codec_spec_missing, package.loaded.codec_spec_missing = nil, nil
    queue:put("next")
    local ok, err = pcall(queue.get, queue)
    assert.is_false(ok)
    assert.is_true(braid.is_error(err, "not_sendable"))
    assert.equal("next", queue:get(0))
  end)

  test("in itself, in another, in a chain", function()
    local queue, other = braid.queue(), braid.queue()
    queue:put(queue)
    queue:put({ other, queue })
    other:put({ queue })
    assert.is_true(copy(queue) == queue)
    assert.is_true(queue:get(0) == queue)
    local pair = queue:get(0)
    assert.is_true(pair[1] == other and pair[2] == queue and pair[1]:get(0)[1] == queue)
    local chain = braid.queue()
    for _ = 1, 30 do
      local outer = braid.queue()
      outer:put({ chain })
      chain = outer
    end
    assert.equal(30, (there([[
      local queue, n = ..., 0
      while not queue:is_empty() do queue = queue:get(0)[1]; n = n + 1 end
      return n
    ]], chain)))
  end)
end)

describe("strings as items", function()
  local function shared_queue()
    local queue = braid.queue()
    core.encode(queue)
    return queue
  end

  test("of all lengths", function()
    local queue, all = shared_queue(), {}
    for _, size in ipairs { 0, 1, 2, 39, 40, 41, 126, 127, 128, 129, 1024, 2000, 2048, 16383, 16384, 1 << 20 } do
      all[#all + 1] = ("\0x"):rep(size):sub(1, size)
      queue:try_put(all[#all])
    end
    for i = 1, #all do assert.is_true(queue:try_get() == all[i]) end
    for i = 1, #all do queue:try_put(all[i]) end
    assert.same(table.concat(all, ","), (there([[
      local queue, all = ..., {}
      while not queue:is_empty() do all[#all + 1] = queue:get(0) end
      return table.concat(all, ",")
    ]], queue)))
  end)

  test("that finalizers take while others are taken", function()
    local queue, count = shared_queue(), 0
    for i = 1, 4000 do queue:try_put(i .. ("x"):rep(i % 300)) end
    while not queue:is_empty() do
      setmetatable({}, { __gc = function()
        local text = queue:try_get()
        if text then count = count + 1 assert(text:find("^%d+x*$")) end
      end })
      local text = queue:try_get()
      if text then count = count + 1 end
      assert.is_true(not text or text:find("^%d+x*$") ~= nil)
    end
    assert.equal(4000, count)
  end)

  test("are refused above the limit", function()
    finally(function() core.set_transfer_limits(2 << 30, 1000 * 1000 * 1000) end)
    local queue = shared_queue()
    core.set_transfer_limits(100000, 10)
    local ok, err = pcall(queue.try_put, queue, ("x"):rep(100001))
    assert.is_false(ok)
    assert.is_true(braid.is_error(err, "not_sendable"))
    assert.matches("larger than 100000 bytes", err.message)
    assert.is_true((queue:try_put(("x"):rep(90000))))
    assert.equal(1, queue:size())
  end)
end)

describe("limits", function()
  local function restore() core.set_transfer_limits(2 << 30, 1000 * 1000 * 1000) end

  test("on bytes", function()
    finally(restore)
    core.set_transfer_limits(10000, 1000)
    refused("argument 1 -> .text: with this the message would be larger than 10000 bytes, which is the limit",
      { text = ("x"):rep(20000) })
    local list = {}
    for i = 1, 900 do list[i] = i + 0.5 end
    assert.is_true(alike(list, (copy(list))))
    core.set_transfer_limits(5000, 1000)
    assert.is_false((pcall(core.encode, list)))
    restore()
    assert.is_true(alike(list, (copy(list))))
  end)

  test("on values", function()
    finally(restore)
    core.set_transfer_limits(1 << 20, 100)
    local list = {}
    for i = 1, 50 do list[i] = { i } end
    refused("argument 1 -> [50][1]: the message would have more values than the limit allows", list)
    list[50] = nil
    assert.is_true(alike(list, (copy(list))))
    for _, wrong in ipairs { { 0, 1 }, { 1, 0 }, { "x", 1 }, { 1 } } do
      assert.is_false((pcall(core.set_transfer_limits, table.unpack(wrong))))
    end
  end)
end)

describe("nothing is left", function()
  local function resident()
    local file <close> = io.open("/proc/self/statm")
    return file and tonumber(file:read("a"):match("^%d+ (%d+)")) * 4096 or 0
  end

  -- Memory after `fn` was called often, less that after it was called some times.
  local function growth(fn)
    for _ = 1, 2000 do fn() end
    collectgarbage()
    collectgarbage()
    local lua, all = collectgarbage("count"), resident()
    for _ = 1, 10000 do fn() end
    collectgarbage()
    collectgarbage()
    return (collectgarbage("count") - lua) * 1024, resident() - all
  end

  local function assert_steady(fn)
    local lua, all = growth(fn)
    assert.is_true(lua < 400000, "Lua's memory has grown by " .. lua) -- some tables grow once
    if helper.slowness > 1 then return end -- the sanitizers keep what was freed
    assert.is_true(all < 2 << 20, "memory has grown by " .. all)
  end

  test("of values, functions and objects that are sent and received", function()
    local state <close> = ship.state()
    local queue = braid.queue()
    local n = 0
    local function count() n = n + 1 return queue end
    local value = { ("text"):rep(300), { queue, count }, count, function() end, print,
      setmetatable({}, { __index = {} }) }
    assert_steady(function() copy(value, {}) end)
    local before
    for i = 1, 4000 do
      core.decode(state:run("return ...", core.encode(value, queue, count)))
      if i == 1000 then before = state:memory() end
    end
    assert.is_true(state:memory() - before < 20000)
  end, { deadline = 60 })

  test("of what is refused", function()
    local long = ("x"):rep(5000)
    local bad = { long, { braid.counter(), function() return long end }, coroutine.create(print) }
    for i = 1, 120 do bad = { i, bad } end
    assert_steady(function() pcall(core.encode, bad) end)
    local failing = setmetatable({}, { __braid_pack = function() error("x") end })
    assert_steady(function() pcall(core.encode, long, braid.counter(), failing) end)
    assert_steady(function()
      local parcel = core.encode(long, {}, braid.counter(), function() return bad end and "x")
      ship.cut(parcel, #parcel - 1)
      pcall(core.decode, parcel)
    end)
  end, { deadline = 60 })

  test("of queues with items, also of one that is in itself", function()
    local long = ("x"):rep(2000)
    local shared, full = braid.queue(), braid.queue(1)
    core.encode(shared, full)
    full:put(1)
    run(assert_steady, function()
      shared:put({ long })
      shared:get()
      full:try_put({ long })
      pcall(shared.put, shared, { long, coroutine.running() })
      pcall(table.sort, { 2, 1 }, function() return full:put({ long }) end)
    end)
    assert_steady(function()
      local queue = braid.queue()
      queue:put({ queue, long })
      core.encode(queue)
      queue:put({ queue, long })
      queue:put(queue)
    end)
    assert_steady(function()
      local queue = braid.queue()
      queue:put({ long })
      queue:put({ long, io.stdout })
      pcall(core.encode, queue)
    end)
  end, { deadline = 60 })
end)
