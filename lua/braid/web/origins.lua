-- SPDX-License-Identifier: MIT
-- Origins of pages, as browsers send them: "https://app.example.com".
local errors = require "braid.errors"

local M = {}

local function bad_origin(what, origin)
  errors.misuse(2, "bad option 'origins' to '%s' (\"*\" or origins like \"https://example.com\" expected, got %s)",
    what, type(origin) == "string" and ("%q"):format(origin) or errors.described(origin))
end

-- "https://*.example.com" -> a pattern for one label or more
local function pattern_of(origin)
  local scheme, rest = origin:match "^([%a][%w+.-]*://)%*(%.[%w.:-]+)$"
  if not scheme then return nil end
  return "^" .. scheme:gsub("%p", "%%%0") .. "[%w-][%w.-]*" .. rest:lower():gsub("%p", "%%%0") .. "$"
end

--- A function that says whether an origin is one of these.
---@param what string the function, for messages
---@param origins string|string[]|function origins, whose first label may be "*"; or such a function itself
---@return fun(origin: string, request: braid.web.Request): boolean?
function M.judge(what, origins)
  if type(origins) == "function" then return origins end
  local exact, patterns = {}, {}
  for _, origin in ipairs(type(origins) == "table" and origins or { origins }) do
    local pattern = type(origin) == "string" and pattern_of(origin)
    if pattern then
      patterns[#patterns + 1] = pattern
    elseif type(origin) == "string" and (origin == "null" or origin:find "^[%a][%w+.-]*://[%w.:%[%]-]+$") then
      exact[origin:lower()] = true
    else
      bad_origin(what, origin)
    end
  end
  return function(origin)
    origin = origin:lower()
    if exact[origin] then return true end
    for _, pattern in ipairs(patterns) do
      if origin:find(pattern) then return true end
    end
    return false
  end
end

--- Whether all origins are meant: "*" or a list with it.
---@param origins any
---@return boolean
function M.are_all(origins)
  if type(origins) ~= "table" then return origins == "*" end
  for _, origin in ipairs(origins) do
    if origin == "*" then return true end
  end
  return false
end

return M
