-- SPDX-License-Identifier: MIT
-- Bodies of requests that the client has compressed (Content-Encoding). The limit of a body is that of its plain form:
-- a few bytes cannot become gigabytes.
local core = require "braid.core"
local response = require "braid.web.response"

local M = {}

local PIECE = 64 << 10
local LONG = 1 << 20 -- after so many bytes other tasks have a turn

-- A body that was compressed twice could become huge in between, and nothing at its end: no honest client does that.
local function count(codings)
  local found = 0
  for name in codings:gmatch "[^%s,]+" do
    if name:lower() ~= "identity" then found = found + 1 end
  end
  return found
end

local function open(codings)
  local decoder, problem = core.web_decoder(codings)
  if not problem and count(codings) < 2 then return decoder end
  local refusal = response.failure(415, "the body has an unknown coding, or several")
  refusal.headers["Accept-Encoding"] = select(2, core.web_codings())
  error(refusal, 0)
end

--- An iterator over the plain pieces. Ends the handler with status 415 for an unknown coding, 400 for bytes that are
--- corrupt or end too early, 413 beyond the limit.
---@param codings string as the header lists them
---@param next_piece fun(): string? the compressed pieces
---@param most integer bytes
---@return fun(): string?
function M.pieces(codings, next_piece, most)
  local decoder = open(codings)
  if not decoder then return next_piece end
  local total, since = 0, 0
  return function()
    while true do
      local plain = decoder:pull(PIECE)
      if not plain then response.abort(400, "the compressed body is corrupt") end
      total, since = total + #plain, since + #plain
      if total > most then response.abort(413) end
      if since > LONG then
        since = 0
        core.checkpoint()
      end
      if plain ~= "" then return plain end
      local piece = next_piece()
      if not piece and not decoder:complete() then response.abort(400, "the compressed body ends too early") end
      if not piece then return nil end
      decoder:feed(piece)
    end
  end
end

return M
