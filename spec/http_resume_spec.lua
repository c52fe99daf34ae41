-- SPDX-License-Identifier: MIT
-- Downloads that go on where earlier ones ended.
local expect = require "spec.expect"
local helper = require "spec.helper"
local scripted = require "spec.scripted_server"
local braid = require "braid"
local lfs = require "lfs"
local http = braid.http
local test, misused, answer = helper.test, expect.misused, scripted.answer

local CONTENT = ("0123456789"):rep(100)

-- A server of CONTENT; `state.cut`: bytes after which the next answer ends; `state.tag`: the version.
local function serving(state)
  return function(request, stream)
    local headers = { ETag = state.tag or nil, ["Last-Modified"] = state.modified, ["Accept-Ranges"] = "bytes" }
    local content = state.content or CONTENT
    local first = tonumber((request.headers.range or ""):match("^bytes=(%d+)%-$"))
    local condition = request.headers["if-range"]
    if first and condition and condition ~= state.tag and condition ~= state.modified and not state.careless then
      first = nil
    end
    if state.status then return answer(state.status, "sorry") end
    if first and first >= #content then
      headers["Content-Range"] = "bytes */" .. #content
      return answer(416, "", headers)
    end
    if first then headers["Content-Range"] = ("bytes %d-%d/%d"):format(first, #content - 1, #content) end
    if first and state.least then -- as much of the rest as the server likes
      local last = math.min(first + state.least, #content) - 1
      headers["Content-Range"] = ("bytes %d-%d/%d"):format(first, last, #content)
      return answer(206, content:sub(first + 1, last + 1), headers)
    end
    local reply = answer(first and 206 or 200, content:sub((first or 0) + 1), headers)
    if not state.cut then return reply end
    stream:write(reply:sub(1, reply:find("\r\n\r\n", 1, true) + 3 + state.cut))
    state.cut = nil
    return false
  end
end

local function content_of(path)
  local file <close> = io.open(path, "rb")
  return file and file:read("a")
end

-- A test function: fn(session, path, state, log) with a folder of its own.
local function with(fn, state)
  return function()
    local made <close> = assert(braid.file.temporary { folder = true })
    local own = { tag = '"one"' }
    for name, value in pairs(state or {}) do own[name] = value end
    scripted.with(serving(own), function(base, log)
      local session <close> = http.session { base_url = base, timeout = 5 }
      fn(session, made.path .. "/file", own, log)
      for name in lfs.dir(made.path) do assert.is_nil(name:find("%.part")) end
    end)()
  end
end

local function cut(session, path, state, bytes)
  os.remove(path)
  state.cut = bytes
  local response, err = session:get("/", { file = path, resume = true })
  assert.is_nil(response)
  assert.equal("PARTIAL_FILE", err.code)
  assert.equal(CONTENT:sub(1, bytes), content_of(path .. ".part"))
  assert.is_nil(content_of(path))
end

describe("a download", function()
  test("goes on where the last one ended", with(function(session, path, state, log)
    cut(session, path, state, 300)
    state.cut = 200
    assert.is_nil((session:get("/", { file = path, resume = true })))
    assert.equal(CONTENT:sub(1, 500), content_of(path .. ".part"))
    local told = {}
    local response = assert(session:get("/", { file = path, resume = true, progress = function(received, total)
      told = { received, total }
    end }))
    assert.same({ 1000, 1000 }, told)
    assert.equal(path, response.file)
    assert.equal(CONTENT, content_of(path))
    assert.equal("bytes=500-", log[3].headers.range)
    assert.equal('"one"', log[3].headers["if-range"])
    assert.equal("identity", log[3].headers["accept-encoding"])
    assert.is_nil(log[1].headers.range)
    assert(session:get("/", { file = path, resume = true }))
    assert.is_nil(log[4].headers.range)
  end))

  test("goes on within its retries", with(function(session, path, state, log)
    state.cut = 300
    local response = assert(session:get("/", { file = path, resume = true, retry = { tries = 3, backoff = 0.01 } }))
    assert.equal(CONTENT, content_of(response.file))
    assert.equal("bytes=300-", log[2].headers.range)
  end))

  test("is no file while the server has sent a part of the rest", with(function(session, path, state)
    cut(session, path, state, 300)
    state.least = 600
    local response, err = session:get("/", { file = path, resume = true })
    assert.is_nil(response)
    assert.equal("PARTIAL_FILE", err.code)
    assert.is_nil(content_of(path))
    assert(session:get("/", { file = path, resume = true }))
    assert.equal(CONTENT, content_of(path))
  end))

  test("begins anew when there is another version", with(function(session, path, state)
    cut(session, path, state, 300)
    state.tag, state.content = '"two"', ("other"):rep(10)
    assert(session:get("/", { file = path, resume = true }))
    assert.equal(("other"):rep(10), content_of(path))
  end))

  test("begins anew when the server takes no notice of If-Range", with(function(session, path, state, log)
    cut(session, path, state, 30)
    state.tag, state.content, state.careless = '"two"', ("other"):rep(10), true
    assert(session:get("/", { file = path, resume = true }))
    assert.equal(("other"):rep(10), content_of(path))
    assert.equal(3, #log)
  end))

  test("knows versions by time, by length, and weak tags", with(function(session, path, state, log)
    cut(session, path, state, 300)
    assert(session:get("/", { file = path, resume = true }))
    assert.equal("Sun, 06 Nov 1994 08:49:37 GMT", log[2].headers["if-range"])
    state.modified = nil
    cut(session, path, state, 300)
    state.content = CONTENT .. "more"
    assert(session:get("/", { file = path, resume = true }))
    assert.equal(CONTENT .. "more", content_of(path))
    state.content, state.tag = nil, 'W/"weak"'
    cut(session, path, state, 300)
    state.tag = 'W/"other"'
    assert(session:get("/", { file = path, resume = true }))
    assert.equal(CONTENT, content_of(path))
  end, { tag = false, modified = "Sun, 06 Nov 1994 08:49:37 GMT" }))

  test("that was complete but for its name gets it", with(function(session, path, state)
    cut(session, path, state, 999)
    local part <close> = io.open(path .. ".part", "ab")
    part:write("9")
    part:close()
    local response = assert(session:get("/", { file = path, resume = true }))
    assert.equal(path, response.file)
    assert.equal(CONTENT, content_of(path))
  end))

  test("keeps what is there when the server refuses, or the request is cancelled", with(function(session, path, state)
    cut(session, path, state, 300)
    state.status = 503
    assert.equal("sorry", assert(session:get("/", { file = path, resume = true })).body)
    assert.equal(CONTENT:sub(1, 300), content_of(path .. ".part"))
    state.status = nil
    local part <close> = io.open(path .. ".part", "ab")
    part:write("too much")
    part:close()
    assert(session:get("/", { file = path, resume = true }))
    assert.equal(1000, #content_of(path))
  end))

  test("is refused where it makes no sense", with(function(session, path)
    misused("needs the option 'file'", session.get, session, "/", { resume = true })
    misused("for GET", session.post, session, "/", { resume = true, file = path })
    misused("for GET", session.get, session, "/", { resume = true, file = path, headers = { Range = "bytes=1-2" } })
    local response, err = session:get("/", { resume = true, file = "/dev/null" })
    assert.is_nil(response)
    assert.equal("system", err.kind)
  end))
end)
