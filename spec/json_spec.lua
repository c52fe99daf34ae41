-- SPDX-License-Identifier: MIT
local helper = require "spec.helper"
local json = require "braid.json"
local test = helper.test

describe("json", function()
  test("integers stay integers, both ways, with all their digits", function()
    assert.equal("[9007199254740993]", json.encode { 9007199254740993 })
    assert.equal('{"id":-9223372036854775807}', json.encode { id = -9223372036854775807 })
    local value = json.decode '{"id": 7, "list": [1, 2.5, {"deep": 3}]}'
    assert.equal("integer", math.type(value.id))
    assert.equal("integer", math.type(value.list[1]))
    assert.equal(2.5, value.list[2])
    assert.equal("integer", math.type(value.list[3].deep))
    assert.equal("integer", math.type(json.decode "12"))
  end)

  test("null is braid.null, and slashes stay as they are", function()
    assert.equal(require("braid").null, json.decode("[null]")[1])
    assert.equal('["a/b"]', json.encode { "a/b" })
  end)

  test("what is no JSON is refused", function()
    assert.is_false((pcall(json.decode, "{")))
    assert.is_false((pcall(json.encode, { print })))
    local _, why = pcall(function() return (json.encode { print }) end)
    assert.is_nil(tostring(why):find(".lua:", 1, true), "the place is the caller's to tell")
    _, why = pcall(function() return (json.decode "{") end)
    assert.is_nil(tostring(why):find(".lua:", 1, true), tostring(why))
  end)
end)
