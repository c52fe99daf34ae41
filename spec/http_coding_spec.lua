-- SPDX-License-Identifier: MIT
-- Compressed bodies: whole, cut, corrupt, much larger than they seem, and in other charsets.
local helper = require "spec.helper"
local scripted = require "spec.scripted_server"
local braid = require "braid"
local http = braid.http
local test, answer = helper.test, scripted.answer

local TEXT = ("braid "):rep(40) .. "end"

-- TEXT as the compressors write it.
local CODED = {
  gzip = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x4b\x2a\x4a\xcc\x4c\x51\x48\x1a\x31\x64\x6a\x5e\x0a\x00\xfa\x6d\x23\z
    \xc5\xf3\x00\x00\x00",
  deflate = "\x78\x9c\x4b\x2a\x4a\xcc\x4c\x51\x48\x1a\x31\x64\x6a\x5e\x0a\x00\x4a\x51\x56\x88",
  raw = "\x4b\x2a\x4a\xcc\x4c\x51\x48\x1a\x31\x64\x6a\x5e\x0a\x00",
  br = "\x1f\xf2\x00\xf8\xc5\x63\x6c\x5d\xfb\x12\xc3\x31\x94\x26\xb3\xc5\x01\x91\x74\xd6\x90\x19",
  zstd = "\x28\xb5\x2f\xfd\x04\x58\x85\x00\x00\x48\x62\x72\x61\x69\x64\x20\x65\x6e\x64\x01\x00\xe7\x50\xa5\x08\x7a\x2f\z
    \x9b\x52",
}

-- 64 MiB of zeros.
local BR_BOMB = "\xcf\xff\xff\x7f\xf8\x27\x00\xe2\xb1\x40\x20\xf7\xfe\x9f\xff\xff\xff\xf0\x4f\x00\xc4\x61\x01\x80\xee\z
  \xfd\x3f\xff\xff\xff\xe1\x9f\x00\x88\xc3\x22\x00\xdd\xfb\x7f\xfe\xff\xff\xc3\x3f\x01\x10\x87\x05\x00\xba\xf7\xff\x03"

-- Resident memory of this process in bytes; 0 where the system does not say.
local function memory()
  local file <close> = io.open("/proc/self/statm")
  return file and tonumber(file:read("a"):match("^%d+ (%d+)")) * 4096 or 0
end

-- Answers with what stands in `next`.
local next_answer = {}

local function serve(request, stream)
  if next_answer.bytewise then
    stream:write(("HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nTransfer-Encoding: chunked\r\n\r\n"):format(
      next_answer.coding))
    for i = 1, #next_answer.body do
      stream:write("1\r\n" .. next_answer.body:sub(i, i) .. "\r\n")
      braid.sleep(0)
    end
    return "0\r\n\r\n"
  end
  return answer(200, next_answer.body, { ["Content-Encoding"] = next_answer.coding, ["X-Accepts"] =
    request.headers["accept-encoding"] or "nothing" })
end

local function get(session, coding, body, opts, bytewise)
  next_answer = { coding = coding, body = body, bytewise = bytewise }
  return session:get("/", opts)
end

local function with(fn)
  return scripted.with(serve, function(base)
    local session <close> = http.session { base_url = base, timeout = 10 }
    fn(session)
  end)
end

local function is_bad(response, err)
  assert.is_nil(response)
  assert.is_true(braid.is_error(err, "http"), tostring(err))
  assert.equal("BAD_CONTENT_ENCODING", err.code)
end

local accepted = {}
lazy_setup(with(function(session)
  local list = get(session, "identity", "").headers["x-accepts"]
  for name in list:gmatch("[%w-]+") do accepted[name] = true end
end))

-- Of a coding: its name in headers, or nil where this machine lacks it.
local function name_of(coding)
  local name = coding == "raw" and "deflate" or coding
  return accepted[name] and name or nil
end

describe("a compressed body", function()
  test("is asked for, unless it is not wanted", with(function(session)
    assert.is_true(accepted.gzip and accepted.deflate)
    assert.equal("nothing", get(session, "gzip", "x", { decode = false }).headers["x-accepts"])
  end))

  for coding, body in pairs(CODED) do
    test("is what it was, by " .. coding, with(function(session)
      local name = name_of(coding)
      if not name then return end
      assert.equal(TEXT, assert(get(session, name, body)).body)
      assert.equal(TEXT, assert(get(session, name:upper(), body, nil, true)).body)
      assert.equal(body, assert(get(session, name, body, { decode = false })).body)
      local streamed <close> = assert(get(session, name, body, { stream = true }))
      assert.equal(TEXT, streamed:read("a"))
    end))

    test("that is cut or corrupt is an error, by " .. coding, with(function(session)
      local name = name_of(coding)
      if not name then return end
      for last = 1, #body - 1 do is_bad(get(session, name, body:sub(1, last))) end
      is_bad(get(session, name, body:sub(1, -2), nil, true))
      is_bad(get(session, name, ("\xff"):rep(40)))
      local streamed <close> = assert(get(session, name, body:sub(1, -2), { stream = true }))
      is_bad(streamed:read("a"))
    end))
  end

  test("may be compressed twice, have several parts, or be empty", with(function(session)
    local twice <close> = assert(io.popen("printf 'twice' | gzip -c | gzip -c"))
    assert.equal("twice", assert(get(session, "gzip, x-gzip", twice:read("a"))).body)
    assert.equal(TEXT, assert(get(session, "identity, gzip", CODED.gzip)).body)
    assert.equal(TEXT .. TEXT, assert(get(session, "gzip", CODED.gzip .. CODED.gzip)).body)
    is_bad(get(session, "gzip", CODED.gzip .. CODED.gzip:sub(1, -3)))
    assert.equal(TEXT, assert(get(session, "gzip", CODED.gzip .. "\0\0\0")).body)
    assert.equal("", assert(get(session, "gzip", "")).body)
    is_bad(get(session, "gzip, gzip", CODED.gzip))
  end))

  test("of an unknown kind is refused", with(function(session)
    is_bad(get(session, "x-own", "abc"))
    is_bad(get(session, ("gzip, "):rep(6), CODED.gzip))
    assert.equal("abc", assert(get(session, "x-own", "abc", { decode = false })).body)
  end))

  test("is held to max_body, and to what is read of it", with(function(session)
    local output <close> = assert(io.popen("head -c 50000000 /dev/zero | gzip -c"))
    local bombs = { gzip = output:read("a") }
    if accepted.br then bombs.br = BR_BOMB end
    for coding, bomb in pairs(bombs) do
      local response, err = get(session, coding, bomb, { max_body = 100000 })
      assert.is_nil(response)
      assert.equal("limit", err.kind)
      collectgarbage()
      local before = memory()
      local streamed <close> = assert(get(session, coding, bomb, { stream = true }))
      assert.equal(("\0"):rep(1000), streamed:read(1000))
      braid.sleep(0.05)
      assert.is_true(memory() - before < 20e6)
      local size = 1000
      for piece in streamed:chunks() do size = size + #piece end
      assert.equal(coding == "br" and 64 << 20 or 50000000, size)
    end
  end), { deadline = 30 })
end)

describe("text", function()
  test("is UTF-8, whatever the server's charset is", scripted.with(function(request)
    local kind, body = request.headers["x-type"], request.headers["x-body"]
    return answer(200, (body:gsub("%x%x", function(hex) return string.char(tonumber(hex, 16)) end)),
      { ["Content-Type"] = kind })
  end, function(base)
    local session <close> = http.session { base_url = base }
    local function text(kind, body, charset)
      local hex = body:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end)
      return assert(session:get("/", { headers = { ["X-Type"] = kind, ["X-Body"] = hex } })):text(charset)
    end
    assert.equal("déjà", text("text/plain; charset=ISO-8859-1", "d\xe9j\xe0"))
    assert.equal("déjà", text('text/plain; Charset="utf-8"', "déjà"))
    assert.equal("déjà", text("text/plain", "déjà"))
    assert.equal("日本", text("text/plain; charset=shift_jis", "\x93\xfa\x96\x7b"))
    assert.equal("日本", text("text/plain; charset=iso-8859-1", "\x93\xfa\x96\x7b", "shift_jis"))
    assert.equal("hé", text("text/plain", "\xFF\xFEh\0\xe9\0"))
    assert.equal("hé", text("text/plain; charset=utf-16", "\xFE\xFF\0h\0\xe9"))
    assert.equal("x", text("text/plain; charset=iso-8859-1", "\xEF\xBB\xBFx"))
    assert.equal("a\u{FFFD}b\u{FFFD}", text("text/plain", "a\xffb\xe2\x82"))
    assert.equal("a\u{FFFD}b", text("text/plain; charset=shift_jis", "a\xffb"))
    assert.equal("", text("text/plain; charset=shift_jis", ""))
    local none, err = text("text/plain; charset=nonsense//IGNORE", "x")
    assert.is_nil(none)
    assert.equal("UNKNOWN_CHARSET", err.code)
    assert.equal("x", text("text/plain; charset=nonsense", "x", "ascii"))
    require "spec.expect".misused("charset", text, "text/plain", "x", 5)
  end))
end)
