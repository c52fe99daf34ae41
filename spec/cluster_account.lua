-- SPDX-License-Identifier: MIT
-- Accounts of many jobs: how each future ended, and how often each job ran.
local braid = require "braid"

local M = {}

-- Writes its number into a file that all jobs share, each time that it runs.
local function job(i, path, seconds, text, size)
  local file <close> = assert(io.open(path, "a"))
  file:write(i, "\n")
  file:flush()
  if seconds > 0 then require "braid".sleep(seconds) end
  return i, text or ("x"):rep(size)
end

local function runs_in(path)
  local runs, most = {}, 0
  local file <close> = io.open(path)
  for line in (file or io.tmpfile()):lines() do
    local i = math.tointeger(tonumber(line))
    runs[i] = (runs[i] or 0) + 1
    most = math.max(most, runs[i])
  end
  return runs, most
end

---@class spec.Account
---@field ends integer how often futures have ended
---@field right integer how many had the right result
---@field others table<string, integer> other ends -> how often
---@field ran integer how many jobs have run
---@field most integer how often the one ran that ran most often

--- Runs jobs from several tasks, and waits for their ends.
---@param pool braid.Executor
---@param count integer
---@param opts { tasks: integer?, seconds: number?, text: string?, size: integer? }? seconds: of a job; text: that
--- goes there and back; size: of what the job makes
---@return spec.Account
function M.take(pool, count, opts)
  local path, next_job, others = os.tmpname(), 0, {}
  local ends, right, text, size = 0, 0, opts and opts.text, opts and opts.size or 0
  local function one(i)
    local future = pool:submit(job, i, path, opts and opts.seconds or 0, text, size)
    future:on_done(function() ends = ends + 1 end)
    local ok, first, second = pcall(future.result, future)
    if ok and first == i and #second == (text and #text or size) then right = right + 1 return end
    others[tostring(first)] = (others[tostring(first)] or 0) + 1
  end
  braid.scope(function(scope)
    for _ = 1, opts and opts.tasks or 16 do
      scope:spawn(function()
        while next_job < count do
          next_job = next_job + 1
          one(next_job)
        end
      end)
    end
  end)
  local runs, most = runs_in(path)
  os.remove(path)
  local ran = 0
  for _ in pairs(runs) do ran = ran + 1 end
  return { ends = ends, right = right, others = others, ran = ran, most = most }
end

--- An account in which each job ended once, with its result.
---@param count integer
---@param most integer how often the one ran that ran most often
---@return spec.Account
function M.right(count, most) return { ends = count, right = count, others = {}, ran = count, most = most } end

return M
