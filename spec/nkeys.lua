-- SPDX-License-Identifier: MIT
-- Keys of NATS for tests, and credentials that are signed with them; made by the program openssl.
local base64 = require "braid.base64"
local braid = require "braid"

local M = {}

local PREFIXES = { user = 20 << 3, account = 0, operator = 14 << 3 }
local SEED = 18 << 3

local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

local function base32(bytes)
  local bits, count, text = 0, 0, {}
  for i = 1, #bytes do
    bits, count = (bits << 8 | bytes:byte(i)) & 0xffff, count + 8
    while count >= 5 do
      count = count - 5
      local digit = bits >> count & 31
      text[#text + 1] = ALPHABET:sub(digit + 1, digit + 1)
    end
  end
  if count > 0 then
    local digit = bits << (5 - count) & 31
    text[#text + 1] = ALPHABET:sub(digit + 1, digit + 1)
  end
  return table.concat(text)
end

local function with_sum(bytes)
  local sum = 0
  for i = 1, #bytes do
    sum = sum ~ bytes:byte(i) << 8
    for _ = 1, 8 do sum = (sum << 1 ~ (sum & 0x8000 ~= 0 and 0x1021 or 0)) & 0xffff end
  end
  return bytes .. string.pack("<I2", sum)
end

local function openssl(...)
  local done = assert(braid.process.run({ "openssl", ... }, { stderr = "null" }))
  assert(done.code == 0, "openssl " .. table.concat({ ... }, " "))
  return done.stdout
end

local count = 0

--- A new key, in a file below the folder.
---@param folder string
---@param kind "user"|"account"|"operator"
---@return { public: string, seed: string, file: string }
function M.new(folder, kind)
  count = count + 1
  local file, prefix = ("%s/%s%d.pem"):format(folder, kind, count), PREFIXES[kind]
  openssl("genpkey", "-algorithm", "ed25519", "-out", file)
  local seed = openssl("pkey", "-in", file, "-outform", "DER"):sub(-32)
  local public = openssl("pkey", "-in", file, "-pubout", "-outform", "DER"):sub(-32)
  return {
    file = file, public = base32(with_sum(string.char(prefix) .. public)),
    seed = base32(with_sum(string.char(SEED | prefix >> 5, (prefix & 31) << 3) .. seed)),
  }
end

--- A signed claim of NATS about a key.
---@param issuer table the key that signs
---@param key table the key that it is about
---@param claims string JSON
---@return string
function M.claim(issuer, key, claims)
  local body = ([[{"jti":"%s","iat":%d,"iss":"%s","sub":"%s","name":"test","nats":%s}]]):format(key.public:sub(1, 8),
    os.time(), issuer.public, key.public, claims)
  local text = base64.encode_url([[{"typ":"JWT","alg":"ed25519-nkey"}]]) .. "." .. base64.encode_url(body)
  local file = issuer.file .. ".text"
  assert(braid.file.write(file, text))
  return text .. "." .. base64.encode_url(openssl("pkeyutl", "-sign", "-rawin", "-inkey", issuer.file, "-in", file))
end

return M
