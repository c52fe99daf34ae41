-- SPDX-License-Identifier: MIT
-- braid.json beside Python's json: what one of them writes the other reads as the same, and what one refuses the other
-- does, but for what Python is generous with.
local helper = require "spec.helper"
local braid = require "braid"
local test = helper.test
local json = braid.json

local seed = tonumber(os.getenv "BRAID_SEED") or os.time() % 1000000

-- Reads lines of JSON, each with a text in it; answers each with what it holds, written anew, or with null.
local script = [[
import json, sys
def strict(name): raise ValueError(name)
for line in sys.stdin:
    try:
        value = json.loads(bytes.fromhex(line.strip()).decode("utf-8"), parse_constant=strict)
        plain, escaped = (json.dumps(value, ensure_ascii=how, allow_nan=False) for how in (False, True))
        plain = plain.encode("utf-8", "strict") # not if there is half of a surrogate pair
        print((plain if len(line) % 4 < 2 else escaped.encode()).hex())
    except (ValueError, UnicodeError, RecursionError):
        print("-")
]]

local function to_hex(text) return (text:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end
local function from_hex(text)
  return (text:gsub("%x%x", function(digits) return string.char(tonumber(digits, 16)) end))
end

-- What Python makes of the texts: the same values as it writes them, or false.
local function python(texts)
  local input, program = os.tmpname(), os.tmpname()
  local _ <close> = setmetatable({}, { __close = function() os.remove(input) os.remove(program) end })
  for name, text in pairs { [program] = script } do
    local file <close> = assert(io.open(name, "wb"))
    file:write(text)
  end
  do
    local file <close> = assert(io.open(input, "wb"))
    for _, text in ipairs(texts) do file:write(to_hex(text), "\n") end
  end
  local output <close> = assert(io.popen(("python3 %s <%s 2>/dev/null"):format(program, input)))
  local answers = {}
  for line in output:lines() do answers[#answers + 1] = line ~= "-" and from_hex(line) end
  return #answers == #texts and answers or nil
end

local random = math.random

local pieces = { "a", "é", "日", "😀", '"', "\\", "/", "\n", "\0", "\127", "\u{FFFF}", "plain text", "\u{2028}", "" }

local function random_string()
  local parts = {}
  for i = 1, random(0, 6) do parts[i] = pieces[random(#pieces)] end
  return table.concat(parts)
end

local function random_number()
  local kind = random(6)
  if kind == 1 then return random(-100, 100) end
  if kind == 2 then return random(0) end
  if kind == 3 then return random() end
  if kind == 4 then return random(-1000000, 1000000) / 1000 end
  if kind == 5 then return random() * 10.0 ^ random(-320, 300) end
  local x = ("d"):unpack(("j"):pack(random(0)))
  return x - x == 0 and x or 0.5
end

local function random_value(depth)
  local kind = random(depth > 0 and 8 or 5)
  if kind <= 2 then return random_number() end
  if kind == 3 then return random_string() end
  if kind == 4 then return random(2) == 1 end
  if kind == 5 then return json.null end
  local value = kind == 6 and {} or json.array {}
  for i = 1, random(0, 6) do value[kind == 6 and random_string() or i] = random_value(depth - 1) end
  return value
end

-- Equal, with the types of numbers and the sign of zero; tables by what they hold.
local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then
    return a == b and math.type(a) == math.type(b) and (a ~= 0 or 1 / a == 1 / b)
  end
  for key, value in pairs(a) do if not same(value, b[key]) then return false end end
  for key in pairs(b) do if a[key] == nil then return false end end
  return getmetatable(a) == getmetatable(b)
end

describe("json beside Python's", function()
  local found = python { "[1]" }

  test(("random values are the same there and back (BRAID_SEED=%d)"):format(seed), function()
    if not found then return end
    math.randomseed(seed)
    local values, texts = {}, {}
    for i = 1, 400 do
      values[i] = random_value(4)
      texts[i] = json.encode(values[i], { pretty = i % 3 == 0, sort_keys = i % 5 == 0 })
    end
    local answers = assert(python(texts))
    for i, text in ipairs(texts) do
      assert.is_truthy(answers[i], "Python refuses " .. text)
      assert.is_true(same(values[i], json.decode(text)), text)
      assert.is_true(same(values[i], json.decode(answers[i])), text .. "\n" .. answers[i])
    end
  end)

  test(("texts with an error are refused by both (BRAID_SEED=%d)"):format(seed), function()
    if not found then return end
    math.randomseed(seed)
    local alphabet = { "{", "}", "[", "]", ",", ":", '"', "\\", "0", "1", "-", ".", "e", "E", "+", "t", "null", " ",
      "\n", "\t", "\\u", "\\ud83d", "\1", "/", "é", "\xff", "\xed\xa0\x80", "a" }
    local texts = {}
    for i = 1, 1200 do
      local text = json.encode(random_value(3))
      for _ = 1, random(2) do
        local at, cut = random(0, #text), random(0, 2)
        text = text:sub(1, at) .. (random(4) > 1 and alphabet[random(#alphabet)] or "") .. text:sub(at + 1 + cut)
      end
      texts[i] = text
    end
    local answers = assert(python(texts))
    for i, text in ipairs(texts) do
      local ok, value = pcall(json.decode, text)
      -- What Python reads and cannot write, halves of surrogate pairs and 1e999, it has refused, too.
      assert.equal(answers[i] ~= false, ok, ("%q: %s"):format(text, ok and answers[i] or tostring(value)))
      if ok then assert.equal(json.encode(value, { sort_keys = true }),
        json.encode(json.decode(answers[i]), { sort_keys = true }), text) end
    end
  end)
end)
