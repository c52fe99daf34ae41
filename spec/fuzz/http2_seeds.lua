-- SPDX-License-Identifier: MIT
-- What clients of HTTP/2 send: the preface, and frames of every kind.
local DATA, HEADERS, PRIORITY, RESET, SETTINGS, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9

local function frame(kind, flags, id, payload)
  return (">I3BBI4"):pack(#payload, kind, flags, id) .. payload
end

local function field(name, value) return ("Bs1s1"):pack(0, name, value) end

local function head(method, path, more)
  return field(":method", method) .. field(":scheme", "http") .. field(":path", path) .. field(":authority", "h") ..
    (more or "")
end

local begin = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" .. frame(SETTINGS, 0, 0, "\0\3\0\0\0\100") .. frame(SETTINGS, 1, 0, "")

local get, post = frame(HEADERS, 5, 1, head("GET", "/a/../b?x=y", field("cookie", "a=b"))),
  frame(HEADERS, 4, 3, head("POST", "/%41", field("content-length", "10")))

return {
  begin, begin .. get, begin .. post .. frame(DATA, 0, 3, "01234") .. frame(DATA, 1, 3, "56789"),
  begin .. get .. post .. frame(HEADERS, 5, 5, head("HEAD", "*")) .. frame(DATA, 9, 3, "\3abc\0\0\0"),
  begin .. post .. frame(DATA, 0, 3, ("x"):rep(100)) .. frame(RESET, 0, 3, "\0\0\0\8"),
  begin .. frame(HEADERS, 1, 1, head("GET", "/")) .. frame(CONTINUATION, 4, 1, field("x", "y")),
  begin .. frame(SETTINGS, 0, 0, "\0\4\0\0\0\0") .. get ..
    frame(WINDOW, 0, 1, "\0\0\0\3") .. frame(WINDOW, 0, 0, "\0\0\0\9"),
  begin .. frame(PING, 0, 0, "12345678") .. frame(PRIORITY, 0, 1, "\0\0\0\3\16") .. get ..
    frame(GOAWAY, 0, 0, ("\0"):rep(8)),
  begin .. post .. frame(DATA, 0, 3, "0123456789") .. frame(HEADERS, 5, 3, field("trailer", "1")),
  begin .. frame(HEADERS, 5, 1, "\x82\x86\x84\x41\x8a\x08\x9d\x5c\x0b\x81\x70\xdc\x78\x0f\x03"),
}
