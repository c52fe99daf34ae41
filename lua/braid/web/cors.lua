-- SPDX-License-Identifier: MIT
-- Cross-origin requests of browsers (the Fetch standard, section 3.2): which pages may read the answers.
local errors = require "braid.errors"
local headers = require "braid.web.headers"
local origins_of = require "braid.web.origins"
local response = require "braid.web.response"

local M = {}

---@class braid.web.CorsOptions
---@field origins string|string[]|fun(origin: string): boolean "*" (all, the default), origins like
---  "https://app.example.com" (its first label may be "*"), or a function
---@field methods string[]? that preflights allow, default: GET, HEAD, POST, PUT, PATCH, DELETE
---@field headers string[]? of requests that preflights allow, default: those that are asked for
---@field credentials boolean? whether cookies may come along; not with origins = "*"
---@field max_age integer? seconds that a browser may keep the answer to a preflight, default 600
---@field expose string[]? headers of answers that pages may read

local known = {
  origins = "string|table|function", methods = "table", headers = "table", credentials = "boolean",
  max_age = "integer", expose = "table",
}

local function list_of(name, list, pattern)
  for _, word in ipairs(list) do
    if type(word) ~= "string" or not word:find(pattern) then
      errors.misuse(2, "bad option '%s' to 'cors' (a list of names expected, got %s)", name, errors.text(word))
    end
  end
  return table.concat(list, ", ")
end

local TOKEN = "^[%w!#$%%&'*+.^_`|~-]+$"

-- What answers to a page of an allowed origin have: names and values alternately.
local function grant(rules, origin)
  local list = { "Access-Control-Allow-Origin", rules.all and "*" or origin }
  if rules.credentials then table.move({ "Access-Control-Allow-Credentials", "true" }, 1, 2, 3, list) end
  return list
end

local function preflight(rules, req, origin)
  local answer, list = response.response { status = 204 }, grant(rules, origin)
  for i = 1, #list, 2 do answer.headers[list[i]] = list[i + 1] end
  answer.headers["Access-Control-Allow-Methods"] = rules.methods
  answer.headers["Access-Control-Allow-Headers"] = rules.headers or req.headers["access-control-request-headers"]
  answer.headers["Access-Control-Max-Age"] = rules.max_age
  answer.headers.Vary = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
  return answer
end

local function allows(rules, req, origin) return rules.all or rules.judge(origin, req) and true or false end

-- Handles a request with an Origin.
local function answer_to(rules, req, origin, next_one)
  local allowed = allows(rules, req, origin)
  if req.method == "OPTIONS" and req.headers["access-control-request-method"] then
    if allowed then return preflight(rules, req, origin) end
    local refusal = response.failure(403, "this origin may not ask")
    refusal.headers.Vary = "Origin"
    return refusal
  end
  local list = allowed and grant(rules, origin) or {}
  if allowed and rules.expose ~= "" then
    table.move({ "Access-Control-Expose-Headers", rules.expose }, 1, 2, #list + 1, list)
  end
  req._more_headers = rules.all and list or table.move({ "Vary", "Origin" }, 1, 2, #list + 1, list)
  local answer = next_one(req)
  req._more_headers = nil
  for i = 1, #list, 2 do
    if list[i] ~= "Vary" then answer.headers[list[i]] = list[i + 1] end
  end
  return answer
end

--- Middleware that tells browsers which other sites' pages may read the answers, and answers preflights. Answers of
--- failed handlers say it, too.
---@param opts braid.web.CorsOptions?
---@return braid.web.Middleware
function M.cors(opts)
  opts = opts or {}
  errors.check_options(1, "cors", opts, known)
  errors.check_ranges(1, "cors", opts, { max_age = { 0 } })
  local origins = opts.origins or "*"
  local all = origins_of.are_all(origins)
  if all and opts.credentials then
    errors.misuse(1, "credentials for origins = \"*\" would let every site act for a user: name the origins")
  end
  local rules = {
    all = all, judge = not all and origins_of.judge("cors", origins) or nil, credentials = opts.credentials,
    methods = list_of("methods", opts.methods or { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE" }, "^%u+$"),
    headers = opts.headers and list_of("headers", opts.headers, TOKEN),
    expose = list_of("expose", opts.expose or {}, TOKEN), max_age = math.tointeger(opts.max_age or 600),
  }
  return function(req, next_one)
    local origin = req.headers.origin
    local answer = origin and answer_to(rules, req, origin, next_one) or not origin and next_one(req)
    if not all then headers.add_word(answer.headers, "vary", "Origin") end
    return answer
  end
end

return M
