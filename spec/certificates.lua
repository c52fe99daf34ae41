-- SPDX-License-Identifier: MIT
-- Certificates for tests, made by the program openssl in a folder that goes with the test process.
local M = {}

local folder

local CURVE = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
local NAMES = "DNS:localhost,DNS:*.example.org,IP:127.0.0.1,IP:::1"

local function openssl(format, ...)
  local command = ("cd %s && openssl %s 2>openssl.log"):format(folder, format:format(...))
  assert(os.execute(command), command)
end

--- Makes NAME.pem and NAME.key, signed by the authority.
---@param name string
---@param subject string "/CN=localhost"
---@param names string? other names of it
---@param ended boolean? it was good for a day of the past
---@param authority string? default "ca"
---@param signs boolean? it is an authority itself
function M.make(name, subject, names, ended, authority, signs)
  local extensions = assert(io.open(folder .. "/" .. name .. ".ext", "w"))
  extensions:write("basicConstraints=CA:", signs and "TRUE\n" or "FALSE\n",
    names and "subjectAltName=" .. names .. "\n" or "")
  extensions:close()
  authority = authority or "ca"
  openssl("req %s -keyout %s.key -out %s.csr -subj '%s'", CURVE, name, name, subject)
  local format = "x509 -req -in %s.csr -CA %s.pem -CAkey %s.key -CAcreateserial -extfile %s.ext -out %s.pem "
  local sign = format:format(name, authority, authority, name, name)
  if not ended then return openssl(sign .. "-days 2") end
  if pcall(openssl, sign .. "-days -1") then return end
  openssl(sign .. "-not_before 20200101000000Z -not_after 20200102000000Z") -- OpenSSL 3.4 and later
end

--- An authority of its own: NAME.pem and NAME.key.
---@param name string
function M.authority(name)
  openssl("req -x509 %s -keyout %s.key -out %s.pem -days 2 -subj '/CN=The %s'", CURVE, name, name, name)
end

--- Makes the folder with ca, server, client, expired, other (of another name) and stranger (of another authority).
---@return (fun(name: string): string) path of a file in it
function M.open()
  folder = os.tmpname()
  os.remove(folder)
  assert(os.execute("mkdir " .. folder))
  M.authority "ca"
  M.authority "foreign"
  M.make("server", "/CN=localhost/O=Tests", NAMES)
  M.make("client", "/CN=a client")
  M.make("expired", "/CN=localhost", NAMES, true)
  M.make("other", "/CN=other.test", "DNS:other.test")
  M.make("stranger", "/CN=localhost", NAMES, false, "foreign")
  return function(name) return folder .. "/" .. name end
end

function M.close() os.execute("rm -rf " .. folder) end

return M
