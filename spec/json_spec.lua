-- SPDX-License-Identifier: MIT
-- braid.json: texts to values and back, what is refused, and lists, which stay lists wherever they go.
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"
local core = require "braid.core"
local test, run = helper.test, helper.run
local json = braid.json
local describe, assert = describe, assert

-- What is sent must not take the test runner's environment along.
local _ENV = _G -- luacheck: ignore 211/_ENV

local function refused(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "it was not refused")
  assert.is_true(braid.is_error(err, "json"), tostring(err))
  return err
end

local function misused(fn, ...) return expect.misused(nil, fn, ...).message end

describe("json numbers", function()
  test("integers stay integers, both ways, with all their digits", function()
    assert.equal("[9007199254740993]", json.encode { 9007199254740993 })
    assert.equal('{"id":-9223372036854775807}', json.encode { id = -9223372036854775807 })
    local value = json.decode '{"id": 7, "list": [1, 2.5, {"deep": 3}]}'
    assert.equal("integer", math.type(value.id))
    assert.equal("integer", math.type(value.list[1]))
    assert.equal(2.5, value.list[2])
    assert.equal("integer", math.type(value.list[3].deep))
    assert.equal("integer", math.type(json.decode "12"))
    assert.equal(math.mininteger, json.decode "-9223372036854775808")
    assert.equal(0, json.decode "-0")
  end)

  test("integers beyond 64 bits become floats, or errors", function()
    local value = json.decode "9223372036854775808"
    assert.equal("float", math.type(value))
    assert.equal(2.0 ^ 63, value)
    assert.equal(1e26, json.decode "100000000000000000000000000")
    assert.matches("64 bits", refused(json.decode, "[9223372036854775808]", { big = "error" }).message)
    assert.equal(2.0 ^ 63, json.decode("9223372036854775808", { big = "float" }))
  end)

  test("floats come back as they were, and stay floats", function()
    for _, x in ipairs { 0.1, 1 / 3, 0.1 + 0.2, 2 ^ 53, 5e-324, 1.7976931348623157e308, math.pi, 1e21, -1.5e-7, 1.0,
      1e15, 1e16, 123456789.125 } do
      local back = json.decode(json.encode { x })[1]
      assert.equal(x, back)
      assert.equal("float", math.type(back))
    end
    assert.equal("[1.0,0.1,-0.0,1e+300,100.0]", json.encode { 1.0, 0.1, -0.0, 1e300, 1e2 })
    assert.equal(-math.huge, 1 / json.decode "-0.0")
    assert.equal("float", math.type(json.decode "1.0"))
    assert.equal("float", math.type(json.decode "1e2"))
    assert.equal(0.0, json.decode "1e-400")
  end)

  test("what is no number is refused by name", function()
    assert.matches("value%[1%].*NaN", refused(json.encode, { 0 / 0 }).message)
    assert.matches("value.a.*: infinity", refused(json.encode, { a = math.huge }).message)
    assert.matches("value: %-infinity", refused(json.encode, -math.huge).message)
    assert.matches("larger than a float", refused(json.decode, "1e400").message)
    assert.matches("larger than a float", refused(json.decode, "-" .. ("9"):rep(400)).message)
  end)

  test("are the same in a locale with a comma", function()
    local folder = os.tmpname()
    os.remove(folder)
    local _ <close> = setmetatable({}, { __close = function() os.execute("rm -rf " .. folder) end })
    local make = ("mkdir %s && localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8 2>/dev/null"):format(folder, folder)
    if not os.execute(make) then return end -- the machine cannot make one
    local stdout, stderr = helper.lua_process([[
      local json = require "braid".json
      assert(os.setlocale("de_DE.UTF-8"))
      print(1.5, json.encode { 1.5, 1.5e-100 }, json.encode(json.decode "[1.5,1.5e-100,123456789012345678901.5]"))
    ]], { env = { LOCPATH = folder } })
    assert.equal("1,5\t[1.5,1.5e-100]\t[1.5,1.5e-100,1.2345678901234568e+20]\n", stdout, stderr)
  end)
end)

describe("json strings", function()
  test("come back as they were, whatever is in them", function()
    local all = {}
    for byte = 0, 127 do all[#all + 1] = string.char(byte) end
    for _, text in ipairs { "", "a/b", table.concat(all), "é日本😀\u{10FFFF}\u{FFFF}", ("x"):rep(5000) .. '"' } do
      assert.equal(text, json.decode(json.encode(text)))
      assert.equal(text, next(json.decode(json.encode { [text] = 1 })))
    end
    assert.equal('"a/b\\"\\\\\\b\\f\\n\\r\\t\\u0000\\u001f\127é"', json.encode 'a/b"\\\b\f\n\r\t\0\31\127é')
  end)

  test("escapes are those of JSON", function()
    assert.equal('"\\/\b\f\n\r\té😀€', json.decode [["\"\\\/\b\f\n\r\t\u00e9\uD83D\ude00\u20AC"]])
    for text, why in pairs {
      [ [["\x41"]] ] = "escape", [ [["\'"]] ] = "escape", [ [["\u12"]] ] = "hexadecimal",
      [ [["\ud800"]] ] = "surrogate", [ [["\udc00"]] ] = "surrogate", [ [["\ud800\u0041"]] ] = "surrogate",
      [ [["\ud800x"]] ] = "surrogate", [ [["\]] ] = "escape", [ [["abc]] ] = "not closed",
      ['"a\nb"'] = "control character", ['"\0"'] = "control character",
    } do
      assert.matches(why, refused(json.decode, text).message)
    end
    refused(json.decode, [["\ud800"]], { invalid = "replace" })
  end)

  test("are UTF-8, or replaced where that is asked for", function()
    for _, bytes in ipairs { "\xff", "\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xed\xa0\x80",
      "\xed\xbf\xbf", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe2\x82", "\xc3" } do
      assert.matches("UTF%-8", refused(json.decode, '["' .. bytes .. '"]').message)
      assert.matches("value%[1%].*UTF%-8", refused(json.encode, { "a" .. bytes }).message)
      assert.matches("UTF%-8", refused(json.encode, { [bytes] = 1 }).message)
      local replaced = json.decode('"a' .. bytes .. 'b"', { invalid = "replace" })
      assert.equal("ab", (replaced:gsub("\u{FFFD}", "")))
      assert.is_true(#replaced > 2)
      assert.equal(replaced, json.decode(json.encode("a" .. bytes .. "b", { invalid = "replace" })))
    end
    assert.equal("\u{FFFD}x", json.decode('"\xe2\x82x"', { invalid = "replace" }))
  end)
end)

describe("json texts", function()
  test("that are none say where and why", function()
    local err = refused(json.decode, '{\n  "é": [1,\n  02]\n}')
    assert.same({ 3, 3, 17 }, { err.line, err.column, err.offset })
    assert.equal("not JSON (line 3, column 3): a number has no leading zeros", err.message)
    err = refused(json.decode, '\xef\xbb\xbf["é", x]')
    assert.same({ 1, 7, 11 }, { err.line, err.column, err.offset })
    err = refused(json.decode, "[1")
    assert.same({ 1, 3, 3 }, { err.line, err.column, err.offset })
    assert.matches("the text ends", err.message)
  end)

  -- Each is refused at this place.
  local hostile = {
    { "", 1 }, { " ", 2 }, { "\xef\xbb\xbf", 4 }, { "\xef\xbb", 1 }, { "\xfe\xff\0[\0]", 1 }, { "[\0", 2 },
    { "[]\0", 3 }, { "[", 2 }, { "]", 1 }, { "{", 2 }, { "}", 1 }, { "[}", 2 }, { "{]", 2 }, { "[1}", 3 },
    { '{"a":1]', 7 }, { "[[]", 4 }, { "[]]", 3 }, { "[1,]", 4 }, { "[,1]", 2 }, { "[1,,2]", 4 }, { "[1 2]", 4 },
    { "[1;2]", 3 }, { "[1:2]", 3 }, { ",", 1 }, { '{"a":1,}', 8 }, { '{,"a":1}', 2 }, { '{"a":1 "b":2}', 8 },
    { '{"a",1}', 5 }, { '{"a"}', 5 }, { '{"a":}', 6 }, { '{"a"::1}', 6 }, { "{a:1}", 2 }, { "{1:1}", 2 },
    { "{null:1}", 2 }, { "{'a':1}", 2 }, { '{"a":1}}', 8 }, { '{"a', 4 }, { "nul", 1 }, { "nulll", 5 },
    { "True", 1 }, { "TRUE", 1 }, { "truefalse", 5 }, { "undefined", 1 }, { "nan", 1 }, { "NaN", 1 },
    { "Infinity", 1 }, { "-Infinity", 2 }, { "inf", 1 }, { "-", 2 }, { "--1", 2 }, { "+1", 1 }, { "- 1", 2 },
    { "01", 1 }, { "-01", 1 }, { "00", 1 }, { "0x1F", 2 }, { "0b1", 2 }, { "1_000", 2 }, { ".5", 1 }, { "-.5", 2 },
    { "1.", 3 }, { "1.e1", 3 }, { "1..2", 3 }, { "1.2.3", 4 }, { "1e", 3 }, { "1e+", 4 }, { "1e1.5", 4 },
    { "1 .5", 3 }, { "1f", 2 }, { "0.1d", 4 }, { "\u{FF11}", 1 }, { "[1,\u{A0}2]", 4 }, { "[\v1]", 2 },
    { "[1]\f", 4 }, { "[1]x", 4 }, { "[1] [2]", 5 }, { "1 2", 3 }, { "// c\n1", 1 }, { "[1] // c", 5 },
    { "/* c */1", 1 }, { "[1,/* c */2]", 4 }, { "# c", 1 }, { "'a'", 1 }, { "`a`", 1 }, { '"a" "b"', 5 },
    { '"a"b', 4 }, { '["a]', 5 }, { '"a\tb"', 3 }, { '"a\127"b', 5 }, { "[...]", 2 }, { "<a>", 1 },
    { "\\u0031", 1 }, { "[\\n]", 2 }, { "\0", 1 }, { "1\0", 2 }, { "(1)", 1 }, { "*", 1 },
  }

  test("of many wrong kinds are refused where they are wrong", function()
    for _, case in ipairs(hostile) do
      local ok, err = pcall(json.decode, case[1])
      assert.is_false(ok, ("accepted %q"):format(case[1]))
      assert.is_true(braid.is_error(err, "json"))
      assert.equal(case[2], err.offset, ("%q: %s"):format(case[1], err.message))
    end
  end)

  test("that are cut off are refused wherever that is", function()
    local text = '{"a":[1.5e3,true,null,"x\\u00e9\\n",{"b":{}},[[]]],"c":-12}'
    json.decode(text)
    for size = 0, #text - 1 do refused(json.decode, text:sub(1, size)) end
  end)

  test("may have blanks, a byte order mark, and a single value of any kind", function()
    assert.same({ 7 }, json.decode "\xef\xbb\xbf \t\r\n[ 7 ]\n ")
    assert.same({ a = { b = json.null } }, json.decode ' { "a" : { "b" : null } } ')
    assert.same({ 1, 2.5, "x", json.null },
      { json.decode "1", json.decode "2.5", json.decode '"x"', json.decode "null" })
    assert.is_true(json.decode "true")
    assert.is_false(json.decode "false")
    assert.equal(json.null, braid.null)
    assert.equal("null", json.encode(nil))
  end)

  test("of members with the same name the last one counts", function()
    assert.same({ a = 2, b = 1 }, json.decode '{"a":1,"b":1,"a":2}')
    assert.same({ a = 3 }, json.decode('{"a":1,' .. ('"a":2,'):rep(200) .. '"a":3}'))
  end)

  test("are as large and wide as they are", function()
    local list, object = {}, {}
    for i = 1, 3000 do list[i], object["key" .. i] = i, { i } end
    assert.same(list, json.decode(json.encode(list)))
    assert.same(object, json.decode(json.encode(object)))
    assert.same({ list, { list, object } }, json.decode(json.encode { list, { list, object } }))
  end)

  test("depth is bounded both ways", function()
    local function nested(n) return ('[{"a":'):rep(n) .. "1" .. ("}]"):rep(n) end
    assert.equal(nested(500), json.encode(json.decode(nested(500))))
    assert.matches("1000 deep", refused(json.decode, nested(501)).message)
    refused(json.decode, ("["):rep(1000000))
    assert.equal(nested(5000), json.encode(json.decode(nested(5000), { max_depth = 10000 }), { max_depth = 10000 }))
    local err = refused(json.encode, json.decode(nested(5000), { max_depth = 10000 }))
    assert.matches("value%[1%]%.a%[1%].* more .*deeper than 1000 tables", err.message)
    assert.equal("[[]]", json.encode({ json.array {} }, { max_depth = 2 }))
    assert.matches("value%[1%]: ", refused(json.encode, { {} }, { max_depth = 1 }).message)
    assert.matches("1 deep", refused(json.decode, "[[]]", { max_depth = 1 }).message)
    assert.equal(5, json.decode("5", { max_depth = 1 }))
  end)
end)

describe("json tables", function()
  test("are lists or objects, and nothing else; the path says which are neither", function()
    local function path(value, why, expected)
      local err = refused(json.encode, value)
      assert.equal(expected, err.path)
      assert.matches(why, err.message)
      assert.matches(expected, err.message, 1, true)
    end
    path({ 1, 2, x = 3 }, "integers and strings", "value")
    path({ a = { [3] = 1 } }, "holes", "value.a")
    path({ a = { { 1, nil, 3 } } }, "holes %(elements: 2, the last at 3%)", "value.a[1]")
    path({ [0] = 1 }, "from 1", "value")
    path({ 1, [-1] = 1 }, "from 1", "value")
    path({ [1.5] = 1 }, "a float", "value")
    path({ { [true] = 1 } }, "a boolean", "value[1]")
    path({ [{}] = 1 }, "a table", "value")
    path({ [json.null] = 1 }, "userdata", "value")
    path({ ["a b"] = { ["7"] = print } }, "a function", 'value["a b"]["7"]')
    path({ ["\n"] = { a = print } }, "a function", 'value["\\n"].a')
    path({ ["\xff"] = 1 }, "UTF%-8", 'value["\u{FFFD}"]')
    path({ ["a\0b"] = print }, "a function", 'value["a\\u0000b"]')
    path({ coroutine.create(print) }, "a coroutine", "value[1]")
    path({ q = core.queue_new(0) }, "a braid.queue", "value.q")
    path(table.pack(1, 2), "integers and strings", "value")
  end)

  test("of the same content in another order of keys are the same list", function()
    local list = {}
    for i = 40, 1, -1 do list[i] = i end
    for i = 41, 50 do list[i] = i end
    assert.same(list, json.decode(json.encode(list)))
    local late = { a = 1, b = 2, c = 3, d = 4 }
    for name in pairs { a = 1, b = 1, c = 1, d = 1 } do late[name] = nil end
    late[2], late[1], late[3] = "b", "a", "c"
    assert.equal('["a","b","c"]', json.encode(late))
  end)

  test("a cycle is found, and shown where it closes", function()
    local value = { list = { {} } }
    value.list[1].again = value
    local err = refused(json.encode, value)
    assert.matches("cycle", err.message)
    assert.equal("value.list[1].again", err.path)
    local shared = { 1 }
    assert.equal("[[1],[1]]", json.encode { shared, shared })
  end)

  test("empty ones are objects, unless they are marked", function()
    assert.equal("{}", json.encode {})
    assert.equal("[]", json.encode(json.array {}))
    assert.equal('{"a":[],"b":{}}', json.encode(json.decode '{"a":[],"b":{}}', { sort_keys = true }))
  end)

  test("marked ones may have holes, and count what table.pack counts", function()
    assert.equal("[1,null,3]", json.encode(json.array { 1, nil, 3 }))
    assert.equal("[null,2,null]", json.encode(json.array(table.pack(nil, 2, nil))))
    assert.equal("[null,null]", json.encode(json.array { n = 2 }))
    assert.equal("[]", json.encode(json.array { n = 0 }))
    assert.matches("marked as a list", refused(json.encode, json.array { 1, x = 2 }).message)
    assert.matches("marked as a list", refused(json.encode, json.array { x = 2 }).message)
    refused(json.encode, json.array { [-1] = 2 })
    local list = { 1 }
    assert.equal(list, json.array(list))
    assert.equal(list, json.array(list))
    assert.matches("metatable", misused(function() json.array(setmetatable({}, { __index = list })) end))
    assert.matches("table expected, got nil", misused(function() json.array() end))
  end)

  test("pretty, and with sorted keys", function()
    local value = { b = 1, a = { {}, json.array {}, 2, "x" }, ["\0"] = true, ab = false }
    assert.equal('{"\\u0000":true,"a":[{},[],2,"x"],"ab":false,"b":1}', json.encode(value, { sort_keys = true }))
    assert.equal([[
{
  "\u0000": true,
  "a": [
    {},
    [],
    2,
    "x"
  ],
  "ab": false,
  "b": 1
}]], json.encode(value, { sort_keys = true, pretty = true }))
    assert.same(value, json.decode(json.encode(value, { pretty = true })))
    refused(json.encode, { a = 1, [true] = 2 }, { sort_keys = true })
  end)
end)

describe("json options", function()
  test("that are unknown or wrong are misuse at the caller's line", function()
    assert.matches("did you mean 'pretty'", misused(function() json.encode({}, { prety = true }) end))
    assert.matches("unknown option 'big' to 'encode'", misused(function() json.encode({}, { big = "error" }) end))
    assert.matches("'invalid' to 'encode'", misused(function() json.encode({}, { invalid = "ignore" }) end))
    assert.matches("'big' to 'decode'", misused(function() json.decode("1", { big = "string" }) end))
    assert.matches("'max_depth'", misused(function() json.decode("1", { max_depth = 0 }) end))
    assert.matches("'max_depth'", misused(function() json.encode(1, { max_depth = 1e9 }) end))
    assert.matches("'text' to 'decode' %(a string expected, got 12%)", misused(function() json.decode(12) end))
    assert.matches("got nil", misused(function() json.decode(nil) end))
  end)

  test("an error does not name a line: the place is the caller's to tell", function()
    assert.is_nil(refused(json.encode, { print }).message:find(".lua:", 1, true))
    assert.is_nil(refused(json.decode, "{").message:find(".lua:", 1, true))
  end)
end)

describe("lists", function()
  local function parts(list)
    local keys, by_number = {}, {}
    for key in pairs(list) do keys[#keys + 1] = key end
    for i, value in ipairs(list) do by_number[i] = value end
    return keys, by_number
  end

  test("that are decoded are tables like any other", function()
    local list = json.decode "[1,2,3]"
    assert.same({ 3, 3 }, { #list, list.n })
    assert.same({ { 1, 2, 3 }, { 1, 2, 3 } }, { parts(list) })
    list[#list + 1] = 4
    table.insert(list, 5)
    table.remove(list, 1)
    table.sort(list, function(a, b) return a > b end)
    assert.equal("[5,4,3,2]", json.encode(list))
    assert.equal("5 4 3 2", table.concat(list, " "))
    assert.same({ 4, 4, 5, 4, 3, 2 }, { #list, list.n, table.unpack(list) })
    assert.is_nil(rawget(list, "n"))
    assert.is_nil(list.x)
    for i = #list, 1, -1 do list[i] = nil end
    assert.equal("[]", json.encode(list))
  end)

  test("with nils keep their count, which is no element", function()
    run(function()
      local results = braid.gather { function() return 1 end, function() end, function() return 3 end, function() end }
      assert.same({ 4, 4 }, { results.n, #results })
      assert.same({ { 1, 3 }, { 1 } }, { parts(results) })
      assert.equal("[1,null,3,null]", json.encode(results))
      assert.equal(4, select("#", table.unpack(results)))
      results[#results + 1] = 5
      results[#results + 1] = 6
      assert.equal("[1,null,3,null,5,6]", json.encode(results))
      assert.same({ 6, 6 }, { results.n, #results })
    end)
  end)

  -- What comes back of a value, by way of each model.
  local function same(...) return ... end
  local ways = {
    ["a queue"] = function(value)
      local queue = braid.queue()
      queue:put(value)
      return queue:get()
    end,
    ["a shared queue"] = function(value)
      local queue = braid.queue()
      core.encode(queue)
      queue:put(value)
      return queue:get()
    end,
    ["a dict"] = function(value)
      local dict = braid.dict()
      dict:set("key", value)
      return dict:get("key")
    end,
    ["a thread"] = function(value)
      local pool <close> = braid.thread_pool(1)
      return pool:submit(same, value):result()
    end,
    ["a process"] = function(value)
      local pool <close> = braid.process_pool(1)
      return pool:submit(same, value):result()
    end,
  }
  for how, way in pairs(ways) do
    test("stay lists on their way through " .. how, function()
      run(function()
        local text = '{"a":[],"b":{},"c":[[1],{"d":[]}]}'
        assert.equal(text, json.encode(way(json.decode(text)), { sort_keys = true }))
        local results = way(braid.map(function(x) if x ~= 2 then return x end end, { 1, 2, 3, 2 }))
        assert.same({ 4, 4 }, { results.n, #results })
        assert.equal("[1,null,3,null]", json.encode(results))
        assert.equal("[]", json.encode(way(braid.map(same, {}))))
        results = way(braid.map(same, { 7, 8 }))
        assert.same({ 2, 2 }, { results.n, #results })
        assert.is_nil(rawget(results, "n"))
      end)
    end)
  end

  test("are made and marked in workers, too", function()
    local function work()
      local there = require "braid"
      local results = there.map(function(x) return x end, { 1 })
      return there.json.encode(there.json.decode "[[],{}]"), there.json.array {}, results
    end
    run(function()
      for _, make in ipairs { braid.inline_pool, braid.task_pool, braid.thread_pool, braid.process_pool } do
        local pool <close> = make { workers = 1 }
        local text, empty, results = pool:submit(work):result()
        assert.equal("[[],{}]", text)
        assert.equal("[][1]", json.encode(empty) .. json.encode(results))
        assert.equal("[1,4]", json.encode(pool:map(function(x) return x * x end, { 1, 2 })))
        assert.equal("[]", json.encode(pool:map(function(x) return x end, {})))
      end
    end)
  end)
end)

describe("json over HTTP", function()
  local function make()
    local app = braid.web.app()
    app:get("/results", function() return braid.map(function(x) return x end, { (1 << 53) + 1, 2.0 }) end)
    app:get("/empty", function() return braid.map(function(x) return x end, {}) end)
    app:post("/echo", function(request) return request:json() end)
    app:get("/broken", function() return '{"a":\n01}' end)
    app:get("/cycle", function()
      local value = {}
      value.value = value
      local ok, err = pcall(json.encode, value)
      return { ok = ok, kind = err.kind, path = err.path }
    end)
    return app
  end

  local text = '{"big":9007199254740993,"empty":[],"float":1.0,"list":[[],{}],"none":null}'

  -- What client and server, and the test client, both do.
  local function check(client)
    assert.equal("[9007199254740993,2.0]", assert(client:get "/results").body)
    assert.equal("integer", math.type(assert(client:get "/results"):json()[1]))
    assert.equal("[]", assert(client:get "/empty").body)
    assert.equal("value.value", assert(client:get "/cycle"):json().path)
    local response = assert(client:post("/echo", { json = json.decode(text) }))
    assert.equal(text, json.encode(response:json(), { sort_keys = true }))
    assert.equal("[]", assert(client:post("/echo", { json = json.array {} })).body)
    response = assert(client:post("/echo", { body = "\xef\xbb\xbf[1]" }))
    assert.equal("[1]", response.body)
    response = assert(client:post("/echo", { body = "[1,\n NaN]" }))
    assert.equal(400, response.status)
    assert.matches("not JSON %(line 2, column 2%)", response:json().error)
    local value, err = assert(client:get "/broken"):json()
    assert.is_nil(value)
    assert.same({ "http", "NOT_JSON", "json", 2 }, { err.kind, err.code, err.cause.kind, err.cause.line })
    assert.matches("not JSON %(line 2, column 1%)", err.message)
  end

  test("is the same with client and server", function()
    run(function()
      local server = assert(make():start { port = 0, access_log = false })
      local client <close> = braid.http.session { base_url = "http://127.0.0.1:" .. server.port }
      check(client)
      local message = misused(function() client:post("/echo", { json = { { f = print } } }) end)
      assert.matches("option 'json' %(no JSON for value%[1%]%.f: a function", message)
      server:stop()
    end)
  end)

  test("and with the test client", function() run(function() check(make():test_client()) end) end)
end)
