-- SPDX-License-Identifier: MIT
-- usage: lua spec/fuzz/seeds.lua FOLDER: messages of every kind for spec/fuzz/decode.c to begin with.
local core = require "braid.core"
local ship = require "ship"

local n = 0
local function up() n = n + 1 return n end
local function get() return n end
local cycle = { 1, 2, nil, 4, x = { y = "text" } }
cycle.cycle, cycle[cycle.x] = cycle, "key"
local deep = { "bottom" }
for _ = 1, 110 do deep = { deep } end
local function chain(f, i) return function() return f, i end end
local functions = false
for i = 1, 110 do functions = chain(functions, i) end

local seeds = {
  { 1, -1, 127, 128, -129, 70000, 1 << 40, math.mininteger, 1.5, -0.0, 0 / 0 },
  { nil, true, false, core.null },
  { "", "a", "text", ("x"):rep(200), "text" },
  { cycle, cycle.x },
  { deep },
  { functions },
  { setmetatable({ 1 }, { __index = { a = 1 } }), setmetatable({ a = 1 }, { __mode = "k" }) },
  { up, get, { up }, function() end, load("return 1") },
  { string.format, string, table.concat, { string } },
  { core.counter_new(), { core.lock_new() } },
  { setmetatable({}, { __braid_pack = function() return table.pack, 1, { 2 } end }) },
  { setmetatable({}, { __braid_pack = function() return table.pack, deep end }) },
}

for i, values in ipairs(seeds) do
  local file <close> = assert(io.open(("%s/%d"):format(arg[1], i), "wb"))
  file:write(ship.bytes(core.encode(table.unpack(values, 1, 11))))
end
