-- SPDX-License-Identifier: MIT
-- The codec of WebSockets: what bytes mean, for both sides; each case whole and byte by byte.
local core = require "braid.websocket_core"

local MOST = 100000

local function plain(server, most) return core.new(server, most or MOST) end
local function deflating(server, most) return core.new(server, most or MOST, 15, true, 15, true) end

-- A frame as a client (masked) or a server sends it. opts: fin, rsv (the three bits), mask (false: none), length (what
-- the header says), bits ("n16", "n64": a longer form than needed).
local function frame(opcode, payload, opts)
  opts = opts or {}
  local masked = opts.mask ~= false
  local size, bit = opts.length or #payload, masked and 0x80 or 0
  local first = (opts.fin == false and 0 or 0x80) | (opts.rsv or 0) << 4 | opcode
  local head
  if opts.bits == "n64" or size > 65535 then
    head = (">BBI8"):pack(first, bit | 127, size)
  elseif opts.bits == "n16" or size > 125 then
    head = (">BBI2"):pack(first, bit | 126, size)
  else
    head = ("BB"):pack(first, bit | size)
  end
  if not masked then return head .. payload end
  local mask, out = { 0x12, 0x34, 0xf6, 0x78 }, {}
  for i = 1, #payload do out[i] = string.char(payload:byte(i) ~ mask[(i - 1) % 4 + 1]) end
  return head .. string.char(table.unpack(mask)) .. table.concat(out)
end

-- All events that bytes give, as texts: "text:hello", "close:1000:bye", "failed:1002"; "sent:" and what is answered.
local function events(codec, bytes, step)
  local seen = {}
  for at = 1, #bytes, step do
    codec:feed(bytes:sub(at, at + step - 1))
    local data, kind, code = codec:next()
    while data do
      if kind == "failed" then data = "" end
      seen[#seen + 1] = kind .. ":" .. (code and code .. ":" or "") .. data
      data, kind, code = codec:next()
    end
    if codec:has_answer() then seen[#seen + 1] = "sent:" .. codec:answer() end
  end
  return seen
end

-- The frame as our side sends it to the peer of a server: no mask.
local function ours(opcode, payload) return "sent:" .. frame(opcode, payload, { mask = false }) end

local function close_body(code, reason) return (">I2"):pack(code) .. (reason or "") end

-- Checks a case on a server, whole and byte by byte. `make` makes the codec.
local function gives(expected, bytes, make)
  for _, step in ipairs { #bytes, 1, 3 } do
    assert.same(expected, events((make or plain)(true), bytes, step), "step " .. step)
  end
end

-- As gives, but the answer is not compared.
local function fails(code, bytes, make, before)
  for _, step in ipairs { #bytes, 1, 7 } do
    local seen = events((make or plain)(true), bytes, step)
    local answer = table.remove(seen)
    local expected = { table.unpack(before or {}) }
    expected[#expected + 1] = ("failed:%d:"):format(code)
    assert.same(expected, seen)
    assert.equal(close_body(code), answer:sub(8, 9))
  end
end

local TEXT, BINARY, MORE, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10

describe("a message", function()
  for _, size in ipairs { 0, 1, 125, 126, 127, 128, 4000, 4096, 5000, 65535, 65536, 70000 } do
    it(("of %d bytes arrives"):format(size), function()
      local body = ("*"):rep(size)
      gives({ "text:" .. body }, frame(TEXT, body))
      gives({ "binary:" .. body, "binary:" .. body }, frame(BINARY, body):rep(2))
    end)
  end

  it("arrives in fragments, with control frames between them", function()
    local bytes = table.concat {
      frame(TEXT, "a", { fin = false }), frame(MORE, "", { fin = false }), frame(PING, "p"),
      frame(MORE, "bc", { fin = false }), frame(PONG, "q"), frame(MORE, "d"),
    }
    local answer = ours(PONG, "p")
    assert.same({ answer, "pong:q", "text:abcd" }, events(plain(true), bytes, 1))
    assert.same({ "pong:q", "text:abcd", answer }, events(plain(true), bytes, 1000))
  end)

  it("arrives in empty fragments", function()
    gives({ "text:" }, frame(TEXT, "", { fin = false }) .. frame(MORE, "", { fin = false }) .. frame(MORE, ""))
    gives({ "text:x" }, frame(TEXT, "", { fin = false }) .. frame(MORE, "x", { fin = false }) .. frame(MORE, ""))
  end)

  it("may not be longer than the limit", function()
    local function small(server) return plain(server, 10) end
    gives({ "text:0123456789" }, frame(TEXT, "0123456789"), small)
    fails(1009, frame(TEXT, "0123456789a"), small)
    fails(1009, frame(TEXT, "01234", { fin = false }) .. frame(MORE, "56789a"), small)
    fails(1009, frame(BINARY, "x", { length = 1 << 62 }), small)
    fails(1009, frame(BINARY, "x", { length = 0x7fffffffffffffff }), small)
    fails(1009, frame(TEXT, "0123456789", { fin = false }) .. frame(MORE, "x", { length = 0x7fffffffffffffff }), small)
  end)

  it("has no limit of its own", function()
    local codec = plain(true, math.maxinteger)
    assert.same({}, events(codec, frame(BINARY, "x", { length = 0x7fffffffffffffff }), 100))
  end)
end)

describe("a frame is refused that", function()
  local cases = {
    ["has no mask, from a client"] = frame(TEXT, "x", { mask = false }),
    ["is a ping without a mask"] = frame(PING, "", { mask = false }),
    ["has the first reserved bit"] = frame(TEXT, "x", { rsv = 4 }),
    ["has the second reserved bit"] = frame(TEXT, "x", { rsv = 2 }),
    ["has the third reserved bit"] = frame(TEXT, "x", { rsv = 1 }),
    ["has all reserved bits"] = frame(BINARY, "x", { rsv = 7 }),
    ["is a ping with a reserved bit"] = frame(PING, "x", { rsv = 4 }),
    ["is a close with a reserved bit"] = frame(CLOSE, "", { rsv = 1 }),
    ["is a long ping"] = frame(PING, ("x"):rep(126)),
    ["is a long pong"] = frame(PONG, ("x"):rep(126)),
    ["is a long close"] = frame(CLOSE, close_body(1000, ("x"):rep(124))),
    ["is a huge ping"] = frame(PING, "x", { length = 1 << 40 }),
    ["is a part of a ping"] = frame(PING, "x", { fin = false }),
    ["is a part of a pong"] = frame(PONG, "x", { fin = false }),
    ["is a part of a close"] = frame(CLOSE, "", { fin = false }),
    ["continues nothing"] = frame(MORE, "x"),
    ["continues nothing and is not the last"] = frame(MORE, "x", { fin = false }),
    ["begins a text inside a text"] = frame(TEXT, "x", { fin = false }) .. frame(TEXT, "y"),
    ["begins bytes inside a text"] = frame(TEXT, "x", { fin = false }) .. frame(BINARY, "y"),
    ["has a length in 16 bits that needs 7"] = frame(TEXT, "x", { bits = "n16" }),
    ["has a length in 64 bits that needs 7"] = frame(TEXT, "x", { bits = "n64" }),
    ["has a length in 64 bits that needs 16"] = frame(TEXT, ("x"):rep(65535), { bits = "n64" }),
    ["has a negative length"] = frame(BINARY, "x", { length = math.mininteger, bits = "n64" }),
    ["is a close with half a code"] = frame(CLOSE, "\3"),
  }
  for opcode = 3, 15 do
    if opcode < CLOSE or opcode > PONG then cases[("is of kind %d"):format(opcode)] = frame(opcode, "x") end
  end
  for what, bytes in pairs(cases) do
    it(what, function()
      fails(1002, bytes)
      fails(1002, frame(TEXT, "before") .. bytes, nil, { "text:before" })
    end)
  end

  it("has a mask, from a server", function()
    for _, step in ipairs { 1, 100 } do
      assert.equal("failed:1002:", events(plain(false), frame(TEXT, "x"), step)[1])
      assert.equal("text:x", events(plain(false), frame(TEXT, "x", { mask = false }), step)[1])
    end
  end)

  it("continues a message after it has ended", function()
    fails(1002, frame(TEXT, "a", { fin = false }) .. frame(MORE, "b") .. frame(MORE, "c"), nil, { "text:ab" })
  end)

  it("has the bit of a compressed message on a continuation", function()
    fails(1002, frame(TEXT, "x", { fin = false }) .. frame(MORE, "x", { rsv = 4 }), deflating)
    fails(1002, frame(PING, "x", { rsv = 4 }), deflating)
    fails(1002, frame(TEXT, "x", { rsv = 6 }), deflating)
  end)
end)

describe("nothing counts", function()
  it("after a failure", function()
    fails(1002, frame(3, "x") .. frame(TEXT, "later") .. frame(PING, "later"))
  end)

  it("after a close", function()
    gives({ "close:1000:bye", ours(CLOSE, close_body(1000)) },
      frame(CLOSE, close_body(1000, "bye")) .. frame(TEXT, "later") .. frame(PING, "later"))
  end)
end)

describe("a close", function()
  for _, code in ipairs {
    1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999,
  } do
    it(("may have the code %d"):format(code), function()
      gives({ ("close:%d:why"):format(code), ours(CLOSE, close_body(code)) }, frame(CLOSE, close_body(code, "why")))
      assert.is_true(core.code_is_valid(code))
    end)
  end

  for _, code in ipairs { 0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535 } do
    it(("may not have the code %d"):format(code), function()
      fails(1002, frame(CLOSE, close_body(code, "why")))
      assert.is_false(core.code_is_valid(code))
    end)
  end

  it("without a code is 1005", function() gives({ "close:1005:", ours(CLOSE, "") }, frame(CLOSE, "")) end)

  it("has a reason of up to 123 bytes", function()
    local reason = ("é"):rep(61) .. "!"
    gives({ "close:1000:" .. reason, ours(CLOSE, close_body(1000)) }, frame(CLOSE, close_body(1000, reason)))
  end)

  it("has a reason that is UTF-8", function()
    fails(1007, frame(CLOSE, close_body(1000, "\xce\xba\xff")))
    fails(1007, frame(CLOSE, close_body(1000, "\xce")))
  end)

  it("is answered once", function()
    local codec = plain(true)
    codec:close(1001, "away")
    assert.is_true(codec:is_closing())
    assert.equal(frame(CLOSE, close_body(1001, "away"), { mask = false }), codec:answer())
    assert.same({ "text:still", "close:1001:" }, events(codec, frame(TEXT, "still") .. frame(PING, "")
      .. frame(CLOSE, close_body(1001)), 1))
    assert.is_false(codec:has_answer())
    assert.is_nil(codec:text("no more"))
    assert.is_nil(codec:ping("no more"))
  end)
end)

describe("a ping", function()
  it("is answered with its payload", function()
    for _, payload in ipairs { "", "x", ("\0\xff"):rep(62) .. "!" } do
      gives({ ours(PONG, payload) }, frame(PING, payload))
    end
  end)

  it("is answered once where several came together", function()
    local codec = plain(true)
    assert.same({ ours(PONG, "c") }, events(codec, frame(PING, "a") .. frame(PING, "b") .. frame(PING, "c"), 1000))
  end)

  it("is answered before what is sent next", function()
    local codec = plain(true)
    codec:feed(frame(PING, "a"))
    assert.is_nil(codec:next())
    assert.equal(frame(PONG, "a", { mask = false }) .. frame(TEXT, "hi", { mask = false }), codec:text("hi"))
    assert.is_false(codec:has_answer())
  end)
end)

-- ---- UTF-8 ----------------------------------------------------------------------------------------------------------

describe("a text", function()
  local good = {
    "Hello-µ@ßöäüàá-UTF-8!!", "κόσμε", "\0", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xef\xbf\xbf",
    "\xef\xbf\xbe", "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbd", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf",
    "\xf3\xb0\x80\x80", "中文字",
    ("a"):rep(4095) .. "é", ("日本"):rep(3000),
  }
  local bad = {
    "\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x41", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xe0\xa0", "\xe1\x80",
    "\xed\xa0\x80", "\xed\xad\xbf\xed\xb0\x80", "\xed\xbf\xbf", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf", "\xf0\x90\x80",
    "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80", "\xfe", "\xff",
    "κόσμε\xed\xa0\x80edited", ("a"):rep(4095) .. "\xc3", ("日本"):rep(3000) .. "\xe6",
  }
  it("is UTF-8", function()
    for _, text in ipairs(good) do
      gives({ "text:" .. text }, frame(TEXT, text))
      gives({ "text:" .. text }, frame(TEXT, text:sub(1, 1), { fin = false }) .. frame(MORE, text:sub(2)))
      assert.is_true(core.is_utf8(text))
    end
  end)

  it("that is not UTF-8 is refused", function()
    for _, text in ipairs(bad) do
      fails(1007, frame(TEXT, text))
      fails(1007, frame(TEXT, text, { fin = false }) .. frame(MORE, ""))
      gives({ "binary:" .. text }, frame(BINARY, text))
      assert.is_false(core.is_utf8(text))
    end
  end)

  it("is refused at the first byte that cannot be right, before the message is complete", function()
    for _, text in ipairs { "\xff", "ab\xc0", "κόσμε\xf4\x90", "\xed\xa0" } do
      local codec = plain(true)
      local bytes = frame(TEXT, text .. "later", { length = 1000 })
      assert.equal("failed:1007:", events(codec, bytes:sub(1, #bytes - 5), 1)[1])
    end
  end)

  it("may be cut inside a character", function()
    local text = "κ𐍈"
    for cut = 1, #text - 1 do
      gives({ "text:" .. text }, frame(TEXT, text:sub(1, cut), { fin = false }) .. frame(MORE, text:sub(cut + 1)))
    end
  end)
end)

-- ---- compression ----------------------------------------------------------------------------------------------------

describe("a compressed message", function()
  local hello = "\xf2\x48\xcd\xc9\xc9\x07\x00" -- RFC 7692, 7.2.3.1

  it("is inflated: the examples of RFC 7692", function()
    gives({ "text:Hello" }, frame(TEXT, hello, { rsv = 4 }), deflating)
    gives({ "text:Hello" }, frame(TEXT, hello:sub(1, 3), { rsv = 4, fin = false }) .. frame(MORE, hello:sub(4)),
      deflating)
    gives({ "text:Hello", "text:Hello" }, frame(TEXT, hello, { rsv = 4 }) .. frame(TEXT, "\xf2\x00\x11\x00\x00",
      { rsv = 4 }), deflating)
    gives({ "text:Hello" }, frame(TEXT, "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", { rsv = 4 }), deflating)
    gives({ "text:Hello" }, frame(TEXT, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00", { rsv = 4 }), deflating)
    gives({ "text:Hello" }, frame(TEXT, "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", { rsv = 4 }), deflating)
    gives({ "text:" }, frame(TEXT, "\x00", { rsv = 4 }), deflating)
  end)

  it("keeps its window over a last block", function()
    gives({ "text:Hello", "text:Hello" }, frame(TEXT, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00", { rsv = 4 })
      .. frame(TEXT, "\xf2\x00\x11\x00\x00", { rsv = 4 }), deflating)
  end)

  it("does not need the window where it was agreed that there is none", function()
    local function alone(server) return core.new(server, MOST, 15, false, 15, false) end
    gives({ "text:Hello", "text:Hello" }, frame(TEXT, hello, { rsv = 4 }):rep(2), alone)
    fails(1007, frame(TEXT, hello, { rsv = 4 }) .. frame(TEXT, "\xf2\x00\x11\x00\x00", { rsv = 4 }), alone,
      { "text:Hello" })
  end)

  it("may stand beside others that are not compressed", function()
    gives({ "text:Hello", "text:plain", "text:Hello" }, frame(TEXT, hello, { rsv = 4 }) .. frame(TEXT, "plain")
      .. frame(TEXT, "\xf2\x00\x11\x00\x00", { rsv = 4 }), deflating)
  end)

  it("is refused where nothing was agreed", function() fails(1002, frame(TEXT, hello, { rsv = 4 })) end)

  it("is refused if it cannot be inflated", function()
    for _, bytes in ipairs {
      "\xff\xff\xff", "\x06", "\xf2\x48\xcd", "", "\x00\x05\x00\xfa\xff\x48", "\x00\x05\x00\xfa\xfe",
      "\xf3\x48\xcd\xc9\xc9\x07\x00",
    } do
      fails(1007, frame(TEXT, bytes, { rsv = 4 }), deflating)
    end
  end)

  it("is UTF-8 when it is inflated", function()
    local sender = deflating(false)
    local bytes = sender:binary(("\xff"):rep(100))
    fails(1007, string.char(bytes:byte() & 0xf0 | TEXT) .. bytes:sub(2), deflating)
  end)

  it("counts with its inflated length", function()
    local sender = deflating(false, 1 << 30)
    local bomb = sender:binary(("\0"):rep(10000000))
    assert.is_true(#bomb < 20000)
    fails(1009, bomb, deflating)
    local exact = core.new(false, MOST, 15, true, 15, true):binary(("\0"):rep(MOST))
    gives({ "binary:" .. ("\0"):rep(MOST) }, exact, deflating)
    fails(1009, core.new(false, MOST, 15, true, 15, true):binary(("\0"):rep(MOST + 1)), deflating)
  end)

  it("does not go on for ever without content", function()
    local codec = deflating(true, 1000)
    local empty, seen = frame(MORE, ("\0\0\0\xff\xff"):rep(1000), { fin = false }), {}
    local bytes = frame(TEXT, "", { rsv = 4, fin = false })
    for _ = 1, 100 do
      seen = events(codec, bytes, 100000)
      if #seen > 0 then break end
      bytes = empty
    end
    assert.equal("failed:1009:", seen[1])
  end)

  for _, terms in ipairs { { 15, true }, { 15, false }, { 12, true }, { 9, true }, { 9, false }, { 8, true } } do
    it(("comes back, with %d bits %s"):format(terms[1], terms[2] and "and takeover" or "alone"), function()
      local window, takeover = table.unpack(terms)
      local sender = core.new(false, MOST, window, takeover, 15, true)
      local receiver = core.new(true, MOST, 15, true, 15, takeover)
      local words = {}
      for i = 1, 400 do words[i] = ("%x"):format(i * 2654435761 % 65536) end
      local text = table.concat(words, " ") -- some 2,000 bytes that do not repeat
      local sizes = {}
      for round = 1, 20 do
        local message = text .. ("x"):rep(round)
        local bytes = sender:text(message)
        sizes[round] = #bytes
        assert.same({ "text:" .. message }, events(receiver, bytes, 999))
      end
      if window == 8 then return end -- zlib cannot: it is sent as it is
      assert.is_true(sizes[1] < #text * 0.7)
      assert.equal(takeover and window >= 12, sizes[2] < sizes[1] / 2)
    end)
  end
end)

-- ---- sending --------------------------------------------------------------------------------------------------------

describe("what is sent", function()
  it("is read by the other side", function()
    for _, make in ipairs { plain, deflating } do
      local client, server = make(false), make(true)
      for _, size in ipairs { 0, 1, 63, 64, 125, 126, 4096, 65535, 65536, 99999 } do
        local body = ("é"):rep(size // 2)
        assert.same({ "text:" .. body }, events(server, client:text(body), 1000))
        assert.same({ "binary:" .. body }, events(client, server:binary(body), 1000))
      end
      assert.same({ "sent:" .. frame(PONG, "p", { mask = false }) }, events(server, client:ping("p"), 1))
    end
  end)

  it("has a new mask in each frame of a client", function()
    local client, masks = plain(false), {}
    for _ = 1, 100 do masks[client:text("x"):sub(3, 6)] = true end
    local count = 0
    for _ in pairs(masks) do count = count + 1 end
    assert.is_true(count > 95)
  end)

  it("is not masked by a server", function()
    assert.equal("\x81\5hello", plain(true):text("hello"))
    assert.equal("\x82\5hello", plain(true):binary("hello"))
  end)
end)

describe("the digest", function()
  it("is SHA-1", function()
    local function hex(text) return (core.digest(text):gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end
    assert.equal("da39a3ee5e6b4b0d3255bfef95601890afd80709", hex "")
    assert.equal("a9993e364706816aba3e25717850c26c9cd0d89d", hex "abc")
    assert.equal("84983e441c3bd26ebaae4aa1f95129e5e54670f1",
      hex "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")
    assert.equal("34aa973cd4c4daa4f61eeb2bdbad27316534016f", hex(("a"):rep(1000000)))
    for size = 54, 66 do assert.equal(40, #hex(("a"):rep(size))) end
  end)
end)
