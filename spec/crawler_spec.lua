-- SPDX-License-Identifier: MIT
-- The crawler of the examples, against a site of the test: what it asks for, and how it ends.
local helper = require "spec.helper"
local scripted = require "spec.scripted_server"
local braid = require "braid"
local test, answer = helper.test, scripted.answer

local HTML = { ["Content-Type"] = "text/html; charset=utf-8" }

local function start(base, ...)
  return assert(braid.process.start({ helper.lua, "examples/crawler.lua", "--url", base, ... },
    { stdout = "pipe", stderr = "null" }))
end

describe("the crawler", function()
  test("asks for each page once, and for none that robots.txt forbids", function()
    local busy, asked = true, {}
    scripted.with(function(request)
      asked[request.target] = (asked[request.target] or 0) + 1
      if request.target == "/robots.txt" then
        return answer(200, "User-agent: other\nDisallow: /\n\nUser-Agent: *\nDisallow: /no\nAllow: /no/but\n")
      elseif request.target == "/" then
        return answer(200, [[<a href="a/b">1</a> <A HREF='/a/b#x'>2</A> <a href="no/way">3</a> <a href="?q">4</a>
          <a href="/no/but?a&amp;b">5</a> <a href="http://elsewhere.invalid/">6</a> <a href="mailto:a@b">7</a>]], HTML)
      elseif request.target == "/a/b" and busy then
        busy = false
        return answer(503, "", { ["Retry-After"] = "0" })
      elseif request.target == "/a/b" then
        return answer(200, '<a href="../">up</a> <a href="./c">c</a> <a href="">same</a>', HTML)
      elseif request.target == "/a/c" then
        return answer(302, "", { Location = "/" })
      end
      return answer(200, "leaf")
    end, function(base)
      local process <close> = start(base, "--rate", "1000")
      local text = process.stdout:read("a")
      assert.equal(0, process:wait().code)
      assert.equal("5 pages, 1 refused by robots.txt, 0 failed\n", text)
      assert.same({
        ["/robots.txt"] = 1, ["/"] = 2, ["/a/b"] = 2, ["/a/c"] = 1, ["/no/but?a&b"] = 1, ["/?q"] = 1,
      }, asked)
    end)()
  end)

  test("keeps its pages in a database, once each", scripted.with(function(request)
    if request.target == "/robots.txt" then return answer(404, "") end
    if request.target == "/" then return answer(200, '<a href="a">a</a><a href="gone">b</a>', HTML) end
    return request.target == "/a" and answer(200, "leaf\0") or answer(404, "")
  end, function(base)
    if not pcall(require, "braid.sqlite_core") then return end
    local path = os.tmpname()
    for _ = 1, 2 do
      local process <close> = start(base, "--rate", "1000", "--db", path)
      local text = process.stdout:read("a")
      assert.equal(0, process:wait().code)
      assert.is_truthy(text:find("\n2 pages in " .. path, 1, true), text)
    end
    local db <close> = assert(braid.sqlite.open(path))
    assert.equal(2, db:value "select count(*) from page")
    assert.equal("leaf\0", db:value "select body from page where url like '%/a'")
    assert.equal(200, db:value "select min(status) from page")
    os.remove(path)
  end))

  test("tells what it has found when it is interrupted", scripted.with(function(request, _, number)
    if request.target == "/robots.txt" then return answer(404, "") end
    return answer(200, ('<a href="/%d">next</a>'):format(number), HTML)
  end, function(base, log)
    local process <close> = start(base, "--rate", "100", "--pages", "100000")
    while #log < 5 do braid.sleep(0.01) end
    process:kill("INT")
    local text = process.stdout:read("a")
    assert.equal(130, process:wait().code)
    assert.is_truthy(text:find("^%d+ pages, 0 refused by robots.txt, 0 failed\n$"), text)
  end))
end)
