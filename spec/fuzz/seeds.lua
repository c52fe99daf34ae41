-- SPDX-License-Identifier: MIT
-- usage: lua spec/fuzz/seeds.lua FOLDER: what the fuzzers begin with: messages of every kind in FOLDER/decode_seeds,
-- texts in FOLDER/json_seeds, requests in FOLDER/http_seeds (HTTP/1.1 and HTTP/2), frames in FOLDER/websocket_seeds, if
-- the module is there.
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

local texts = {
  "null", " [ true , false ] ", "\xef\xbb\xbf[]", '{"a":{},"b":[[],{"c":null}],"a":1}',
  "[0,-0,-0.0,1,-1,9223372036854775807]",
  "[-9223372036854775808,9223372036854775808,1e400,1e-400,5e-324,1.7976931348623157e308]",
  "[0.1,1E+2,1.5e-7,123456789012345678901234567890.5e-10,2.2250738585072014e-308]",
  '"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00"',
  '"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"', '"\xff\xed\xa0\x80\xc0\x80"',
  ("[{\"a\":"):rep(200) .. "1" .. ("}]"):rep(200), "[" .. ("1,"):rep(200) .. "1]",
}

local function write(folder, i, text)
  local file <close> = assert(io.open(("%s/%s/%d"):format(arg[1], folder, i), "wb"))
  file:write(text)
end

for i, message in ipairs(require "spec.web_corpus") do
  if #message.text < 2000 then write("http_seeds", i, string.char(i * 37 % 256) .. message.text) end
end
for i, text in ipairs(require "spec.fuzz.http2_seeds") do
  for how = 0, 31, 7 do write("http_seeds", 100000 + 100 * i + how, string.char(0xe0 | how) .. text) end
end
for i, values in ipairs(seeds) do write("decode_seeds", i, ship.bytes(core.encode(table.unpack(values, 1, 11)))) end
for i, text in ipairs(texts) do write("json_seeds", i, text) end

local there, websocket = pcall(require, "braid.websocket_core")
for i = 1, there and 8 or 0 do
  local server, deflate = i % 2 == 1, i > 4 and 15 or nil
  local peer = websocket.new(not server, 1 << 20, deflate, true, deflate, true) -- whose frames the fuzzed side reads
  local text = ("é words and words "):rep(i * i)
  write("websocket_seeds", i, table.concat {
    string.char((server and 1 or 0) | (deflate and 6 or 0)), peer:text("short"), peer:ping("ping"), peer:text(text),
    peer:binary(("\0"):rep(i * 500)), peer:text(text), (function()
      peer:close(1000, "bye")
      return peer:answer()
    end)(),
  })
end
