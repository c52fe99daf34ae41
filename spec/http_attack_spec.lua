-- SPDX-License-Identifier: MIT
-- The HTTP client against peers that die, lie, flood and never end.
local helper = require "spec.helper"
local scripted = require "spec.scripted_server"
local braid = require "braid"
local http = braid.http
local test, answer = helper.test, scripted.answer

-- Resident memory of this process in bytes; 0 where the system does not say.
local function memory()
  local file <close> = io.open("/proc/self/statm")
  return file and tonumber(file:read("a"):match("^%d+ (%d+)")) * 4096 or 0
end

local function descriptors()
  local count = 0
  for _ in require("lfs").dir("/proc/self/fd") do count = count + 1 end
  return count
end

-- "hello" compressed, in chunks, with a trailer.
local GZIP = "\x1f\x8b\8\0\0\0\0\0\0\3\1\5\0\xfa\xffhello\x86\xa6\x10\x36\5\0\0\0"
local CHUNKED = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n" ..
  ("%x;name=value\r\n%s\r\n%x\r\n%s\r\n0\r\nTrailer: x\r\n\r\n"):format(10, GZIP:sub(1, 10), #GZIP - 10, GZIP:sub(11))
local LENGTH = ("HTTP/1.1 200 OK\r\nContent-Length: %d\r\nContent-Encoding: gzip\r\n\r\n%s"):format(#GZIP, GZIP)

-- A test function: fn(session, state); state.reply is what the server sends, before it closes.
local function with(fn, opts)
  return function()
    local state = {}
    scripted.with(function(request, stream)
      local reply = state.reply
      if type(reply) == "function" then return reply(request, stream) end
      stream:write(reply)
      return false
    end, function(base)
      local options = { base_url = base, timeout = 5 }
      for name, value in pairs(opts or {}) do options[name] = value end
      local session <close> = http.session(options)
      fn(session, state, base)
      braid.sleep(0)
      assert.equal(0, session:stats().open - session:stats().idle)
    end)()
  end
end

describe("a server that dies", function()
  for name, whole in pairs { chunked = CHUNKED, length = LENGTH } do
    test("at any byte of its answer gives an error, " .. name, with(function(session, state)
      for last = 0, #whole do
        state.reply = whole:sub(1, last)
        local response, err = session:get("/")
        local complete = last == #whole or name == "chunked" and last >= #whole - #"Trailer: x\r\n\r\n"
        if complete and response then
          assert.equal("hello", response.body)
        else
          assert.is_nil(response, ("cut after %d of %d bytes"):format(last, #whole))
          assert.is_true(braid.is_error(err, "http"), tostring(err))
        end
        local streamed, why = session:get("/", { stream = true })
        local body
        if streamed then body, why = streamed:read("a") end
        assert.is_true(body == "hello" or braid.is_error(why, "http"), tostring(why))
      end
    end))
  end

  test("at any byte of a request's body gives an error", with(function(session, state)
    for last = 0, 12 do
      state.reply = function(_, stream)
        if last > 0 then stream:read(last) end
        return false
      end
      local n = 0
      local response, err = session:post("/", { body = function()
        n = n + 1
        braid.sleep(0)
        return n <= 5 and "x" or nil
      end })
      assert.is_nil(response)
      assert.is_true(braid.is_error(err, "http"), tostring(err))
    end
  end))
end)

describe("a server that lies", function()
  test("about chunks is not believed", with(function(session, state)
    for _, chunk in ipairs {
      "ffffffffffffffff\r\nx", "7fffffffffffffff\r\nx", "-5\r\nhello\r\n0\r\n\r\n", "zz\r\nx",
      ("f"):rep(1000) .. "\r\n", "5\r\nhelloXX\r\n0\r\n\r\n", "\r\n\r\n",
    } do
      state.reply = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" .. chunk
      local before = memory()
      local response, err = session:get("/", { max_body = 1000000 })
      assert.is_nil(response, chunk)
      assert.is_true(braid.is_error(err, "http") or braid.is_error(err, "limit"), tostring(err))
      assert.is_true(memory() - before < 10e6)
    end
  end))

  test("about lengths is not believed", with(function(session, state)
    for _, head in ipairs {
      "Content-Length: -1", "Content-Length: 99999999999999999999", "Content-Length: 5x",
      "Content-Length: 9223372036854775807",
    } do
      state.reply = "HTTP/1.1 200 OK\r\n" .. head .. "\r\n\r\nhello"
      local before = memory()
      local response, err = session:get("/", { max_body = 1000000 })
      if response then assert.is_true(#response.body <= 5) else assert.is_true(braid.is_error(err), tostring(err)) end
      assert.is_true(memory() - before < 10e6)
    end
  end))

  test("as a proxy gives an error", with(function(session, state, base)
    for _, reply in ipairs {
      "", "nonsense\r\n\r\n", "HTTP/1.1 200\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\nx",
      ("x"):rep(100000), "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n",
      "HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\nno TLS at all", "\0\0\0\0",
    } do
      state.reply = reply
      local response, err = session:get("https://host.invalid/", { proxy = base })
      assert.is_nil(response)
      assert.is_true(braid.is_error(err, "http"), tostring(err))
    end
  end))
end)

describe("a server that floods", function()
  local function flood(head, piece)
    return function(_, stream)
      stream:write(head)
      local block = piece:rep(100000 // #piece + 1)
      repeat local written = stream:write(block) until not written
      return false
    end
  end

  test("with heads is left", with(function(session, state)
    for _, piece in ipairs {
      "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n", "X-A: b\r\n", "X",
    } do
      state.reply = flood(piece:find("^X") and "HTTP/1.1 200 OK\r\n" or "", piece)
      local before = memory()
      local response, err = session:get("/", { timeout = 20 })
      assert.is_nil(response)
      assert.is_true(braid.is_error(err, "http"), tostring(err))
      assert.is_true(memory() - before < 30e6, memory() - before)
    end
  end), { deadline = 60 })

  test("where it leads on is not listened to", with(function(session, state)
    local n = 0
    local endless = flood("HTTP/1.1 302 Found\r\nLocation: /there\r\n\r\n", "x")
    state.reply = function(request, stream)
      n = n + 1
      if request.target == "/there" then return answer(200, "here") end
      return endless(request, stream)
    end
    assert.equal("here", assert(session:get("/", { timeout = 20 })).body)
    assert.equal(2, n)
    state.reply = function() return answer(302, ("x"):rep(10000), { Location = "/" }) end
    local _, err = session:get("/")
    assert.equal("TOO_MANY_REDIRECTS", err.code)
  end), { deadline = 60 })
end)

describe("cancels", function()
  test("at any time leave nothing behind", with(function(session, state)
    state.reply = function(request, stream)
      if request.headers["transfer-encoding"] then stream:read(100) end
      for piece in CHUNKED:gmatch("..?.?.?.?.?.?") do
        stream:write(piece)
        braid.sleep(0.0005)
      end
    end
    local function body() return function()
      braid.sleep(0.001)
      return "piece"
    end end
    local function one(i)
      local opts = { stream = i % 3 == 0 or nil, decode = i % 5 ~= 0 }
      if i % 2 == 0 then opts.body = body() end
      braid.move_on_after((i % 37) / 2000, function()
        local response = session[i % 2 == 0 and "post" or "get"](session, "/", opts)
        if response and i % 3 == 0 then response:read("a") end
      end)
    end
    local function round(from)
      local list = {}
      for i = 1, 60 do list[i] = function() one(from + i) end end
      braid.gather(list)
      collectgarbage()
      collectgarbage()
      braid.sleep(0.02)
    end
    round(0)
    local open, before = descriptors(), memory()
    for i = 1, 6 do round(i * 60) end
    braid.timeout(10, function() -- the server's ends close when their handlers see it
      while descriptors() > open + 20 do braid.sleep(0.02) end
    end)
    assert.is_true(memory() - before < 40e6, memory() - before)
  end), { deadline = 60 })
end)
