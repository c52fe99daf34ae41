-- SPDX-License-Identifier: MIT
-- Every message of spec/web_corpus.lua, whole and byte by byte: the outcome is the one that stands there, and the same.
local corpus = require "spec.web_corpus"
local helper = require "spec.helper"
local braid = require "braid"
local web_server = require "spec.web_server"
local test = helper.test

local M = {}

local function routes(app)
  app:any("/{path:path}", function(request)
    return ("%s %s %d"):format(request.method, request.path, #request.body)
  end)
end

--- What has come back, in the form of the corpus. Interim answers are left out.
---@param text string
---@param form fun(status: string, body: string): string
---@return string
function M.outcome(text, form)
  local answers, at = {}, 1
  while true do
    local status, head_end = text:match("^HTTP/1%.1 (%d%d%d)[^\r]*\r\n.-\r\n\r\n()", at)
    if not status then break end
    local head = text:sub(at, head_end - 1):lower()
    local size = tonumber(head:match("\ncontent%-length: (%d+)")) or 0
    if status ~= "100" then answers[#answers + 1] = form(status, text:sub(head_end, head_end + size - 1)) end
    at = head_end + (status == "100" and 0 or size)
  end
  if at <= #text then answers[#answers + 1] = ("and %q"):format(text:sub(at)) end
  return table.concat(answers, " ")
end

local function of_corpus(status, body) return status == "200" and "200 " .. body or status end

local function ask(server, text, by_bytes)
  local stream <close> = web_server.connect(server)
  if by_bytes then
    for i = 1, #text do
      if not stream:write(text:sub(i, i)) then break end
      if i % 4 == 0 then braid.sleep(0) end
    end
  else
    stream:write(text)
  end
  stream:shutdown()
  return stream:read("a", 8 * helper.slowness) or ""
end

describe("the corpus", function()
  for _, how in ipairs { "whole", "byte by byte" } do
    test("of messages has its outcomes: " .. how, web_server.serving(routes, function(_, _, server)
      assert.is_true(#corpus >= 150)
      local wrong = {}
      braid.map(function(message)
        local got = M.outcome(ask(server, message.text, how ~= "whole"), of_corpus)
        if got ~= message.answers then
          wrong[#wrong + 1] = ("%s: expected %q, got %q"):format(message.name, message.answers, got)
        end
      end, corpus)
      assert.equal("", table.concat(wrong, "\n"))
    end, { grace = 0.1 }), { deadline = 60 })
  end
end)

return M
