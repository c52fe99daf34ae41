-- SPDX-License-Identifier: MIT
-- The example with templates of a library. Without the library these tests pass, and say so.
local helper = require "spec.helper"
local test = helper.test

local found = pcall(require, "pl.template")

describe("the example with templates", function()
  if not found then print "# the library pl.template (lua-penlight) is not installed" end

  test("makes a page, and escapes what it inserts", function()
    if not found then return end
    local client = dofile("examples/templates.lua"):test_client()
    local answer = client:get "/?title=%3Cscript%3E%22"
    assert.equal("text/html; charset=utf-8", answer.headers["content-type"])
    assert.is_truthy(answer.body:find("<h1>&lt;script&gt;&quot;</h1>", 1, true), answer.body)
    assert.is_truthy(answer.body:find("<li>bread &amp; butter: 1</li>", 1, true), answer.body)
    assert.is_nil(answer.body:find("<script>", 1, true))
  end)
end)
