-- SPDX-License-Identifier: MIT
-- The option `tls` of the HTTP client, against openssl's server.
local helper = require "spec.helper"
local server = require "spec.http_server"
local braid = require "braid"
local misused = require "spec.expect".misused
local http, test, fails = braid.http, helper.test, server.fails

-- fn(url, certificate, key) with a server whose certificate is also its clients' authority. Nothing where there is no
-- openssl.
local function with_server(arguments, fn)
  local certificate, key = os.tmpname(), os.tmpname()
  finally(function()
    os.remove(certificate)
    os.remove(key)
  end)
  local command = "openssl req -x509 -newkey rsa:2048 -nodes -keyout %s -out %s -days 2 -subj /CN=localhost "
    .. "-addext subjectAltName=IP:127.0.0.1 2>/dev/null"
  if not os.execute(command:format(key, certificate)) then return end
  local list = { "openssl", "s_server", "-accept", "127.0.0.1:0", "-www", "-cert", certificate, "-key", key,
    "-CAfile", certificate, table.unpack(arguments) }
  local process <close> = assert(braid.process.start(list))
  for line in process:lines() do
    local port = line:match("^ACCEPT 127.0.0.1:(%d+)")
    if port then return fn("https://127.0.0.1:" .. port .. "/", certificate, key) end
  end
end

local function pin_of(certificate)
  local pipe <close> = assert(io.popen("openssl x509 -in " .. certificate .. " -noout -pubkey | openssl pkey -pubin "
    .. "-outform der | openssl dgst -sha256 -binary | openssl base64"))
  return pipe:read("l")
end

describe("tls", function()
  test("has the certificates of both sides", function()
    with_server({ "-Verify", "1", "-verify_return_error" }, function(url, certificate, key)
      local session <close> = http.session {}
      local tls = { ca_file = certificate, cert = certificate, key = key }
      assert.equal(200, assert(session:get(url, { tls = tls })).status)
      fails("http", session:get(url, { tls = { ca_file = certificate } }))
      fails("http", session:get(url, { tls = { ca_file = certificate, cert = "/nowhere", key = key } }))
      local home <close> = http.session { base_url = "https://127.0.0.1:1/", tls = tls }
      fails("http", home:get(url))
    end)
  end)

  test("asks for a version and for a key", function()
    with_server({ "-tls1_2" }, function(url, certificate)
      local session <close> = http.session { tls = { ca_file = certificate } }
      assert.equal(200, assert(session:get(url)).status)
      local pin, other = pin_of(certificate), ("A"):rep(43) .. "="
      local function with(tls)
        tls.ca_file = certificate
        local own <close> = http.session { tls = tls }
        return own:get(url)
      end
      assert.equal(200, assert(with { pin = pin, min_version = "1.2" }).status)
      assert.equal(200, assert(with { pin = { other, pin } }).status)
      assert.equal("SSL_PINNEDPUBKEYNOTMATCH", fails("http", with { pin = other }).code)
      fails("http", with { min_version = "1.3" })
    end)
  end)

  test("is refused where it says nothing, or the same twice", function()
    misused("min_version", http.session, { tls = { min_version = "1" } })
    misused("pin", http.session, { tls = { pin = "abc;def" } })
    misused("'verify'", http.session, { tls = {}, verify = false })
  end)
end)
