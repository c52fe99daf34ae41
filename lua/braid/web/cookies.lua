-- SPDX-License-Identifier: MIT
-- Cookies of answers (RFC 6265): the text of Set-Cookie. What could become an attribute, or another header, is refused.
local date = require "braid.http.date"
local errors = require "braid.errors"

local M = {}

---@class braid.web.CookieOptions
---@field path string? default "/"
---@field domain string? default: the host of the request alone
---@field max_age integer? seconds; 0 or less removes it; default: until the browser ends
---@field expires integer? a time as of os.time; clients prefer max_age
---@field secure boolean? only by HTTPS
---@field http_only boolean? no script may read it
---@field same_site "lax"|"strict"|"none"|nil default "lax"

local known = {
  path = "string", domain = "string", max_age = "integer", expires = "number", secure = "boolean",
  http_only = "boolean", same_site = "string",
}
local SITES = { lax = "Lax", strict = "Strict", none = "None" }
local NAME = "^[%w!#$%%&'*+.^_`|~-]+$"
local VALUE = '^[^%c ",;\\\128-\255]*$' -- cookie-octets
local DOMAIN = "^%.?[%w][%w.-]*$"

local function bad(format, ...) errors.misuse(2, format, ...) end

local function check_options(name, opts)
  errors.check_options(2, "set_cookie", opts, known)
  local path, domain, site = opts.path, opts.domain, opts.same_site
  if path and not path:find "^/[ -:<-~]*$" then
    bad("bad option 'path' to 'set_cookie' (a path without ';' expected, got %q)", path)
  end
  if domain and not domain:find(DOMAIN) then
    bad("bad option 'domain' to 'set_cookie' (a domain expected, got %q)", domain)
  end
  if site and not SITES[site:lower()] then
    bad("bad option 'same_site' to 'set_cookie' (\"lax\", \"strict\" or \"none\" expected, got %q)", site)
  end
  if site and site:lower() == "none" and not opts.secure then
    bad("a cookie with same_site = \"none\" needs secure = true: browsers drop it otherwise")
  end
  local prefixed = name:find "^__Host%-" and "__Host-" or name:find "^__Secure%-" and "__Secure-"
  local host = prefixed == "__Host-" and (domain or path and path ~= "/")
  if prefixed and (not opts.secure or host) then
    bad("a cookie whose name begins with %s needs secure = true%s: browsers drop it otherwise", prefixed,
      prefixed == "__Host-" and ", the path '/' and no domain" or "")
  end
end

local function check_pair(name, value)
  if type(name) ~= "string" or not name:find(NAME) then
    bad("a cookie's name cannot be %s", type(name) == "string" and ("%q"):format(name) or errors.described(name))
  end
  if type(value) ~= "string" or not value:find(VALUE) then
    bad("the value of the cookie %s cannot be %s (a text without blanks, quotes, ',', ';' and '\\' expected)", name,
      type(value) == "string" and ("%q"):format(value) or errors.described(value))
  end
end

--- The value of Set-Cookie. Raises for what a cookie cannot have, at the line of the caller's caller.
---@param name string
---@param value string|number|nil nil removes the cookie
---@param opts braid.web.CookieOptions?
---@return string
function M.text(name, value, opts)
  opts = opts or {}
  if type(value) == "number" then value = tostring(value) end
  check_pair(name, value or "")
  check_options(name, opts)
  local expires, max_age = opts.expires, opts.max_age
  if value == nil then expires, max_age = 0, 0 end
  local parts = { name .. "=" .. (value or ""), "Path=" .. (opts.path or "/") }
  local function add(text, ...) parts[#parts + 1] = text:format(...) end
  if opts.domain then add("Domain=%s", opts.domain) end
  if max_age then add("Max-Age=%d", math.tointeger(max_age)) end
  if expires then add("Expires=%s", date.write(math.floor(expires))) end
  if opts.secure then add("Secure") end
  if opts.http_only then add("HttpOnly") end
  add("SameSite=%s", SITES[(opts.same_site or "lax"):lower()])
  return table.concat(parts, "; ")
end

-- What makes two cookies the same one for a client.
local function identity(text)
  local path, domain = text:match "; Path=([^;]*)" or "", text:match "; Domain=([^;]*)" or ""
  return ("%s\0%s\0%s"):format(text:match "^[^=]*", path, domain)
end

--- Adds a cookie to the values of Set-Cookie, in place of the same one.
---@param before string|string[]|nil
---@param text string from M.text
---@return string[]
function M.add(before, text)
  local list = {}
  for _, other in ipairs(type(before) == "table" and before or { before }) do
    if identity(other) ~= identity(text) then list[#list + 1] = other end
  end
  list[#list + 1] = text
  return list
end

return M
