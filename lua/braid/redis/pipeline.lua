-- SPDX-License-Identifier: MIT
-- Pipelines: commands that are collected, and sent at once.
local commands = require "braid.redis.commands"
local core = require "braid.core"
local errors = require "braid.errors"

local encode = core.resp_encode

local M = {}

---Collects commands. Every command is a method, as of the client; it returns the pipeline.
---@class braid.redis.Pipeline
---@field private _commands string[]
local Pipeline = { __name = "braid.redis.pipeline" }

local function add(self, word, ...)
  if not self._commands then errors.misuse(1, "redis: this pipeline was sent") end
  if not commands.plain[word] then
    commands.check(word, ...)
    if commands.may_wait(word, ...) then
      errors.misuse(1, "redis: %s may wait, and in a pipeline others would wait for it: call it alone", word)
    end
  end
  self._commands[#self._commands + 1] = encode(word, ...)
  return self
end

---Adds a command.
---@param word string
---@param ... string|number
---@return braid.redis.Pipeline self
function Pipeline:call(word, ...) return add(self, commands.word(word), ...) end

commands.give(Pipeline, add)
errors.guard(Pipeline)

---Calls fn with a pipeline, and returns the commands that it has collected.
---@param fn fun(pipeline: braid.redis.Pipeline)
---@return string[]
function M.collect(fn)
  local pipeline = setmetatable({ _commands = {} }, Pipeline)
  fn(pipeline)
  local list = pipeline._commands
  pipeline._commands = false
  return list
end

return M
