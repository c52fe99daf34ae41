-- SPDX-License-Identifier: MIT
--- What the rows of the tutorial share: facts about the machine, a delay server, timing, and the reader's language.

local braid = require "braid"
local units = require "braid.units"

---@class braid.Lab
---@field lang string
---@field cores integer usable cores
local Lab = {}
Lab.__index = Lab

local M = {}

---@param lang string
---@return braid.Lab
function M.new(lang)
  return setmetatable({ lang = lang, cores = braid.cpu_count() }, Lab)
end

function Lab:__close()
  if self.process then
    self.process:kill()
    self.process:wait()
  end
end

---The text in the reader's language; a plain string is the same in all.
---@param text string|{zh: string, en: string}
---@return string
function Lab:text(text)
  if type(text) == "string" then return text end
  return text[self.lang] or text.en
end

---Formats a text in the reader's language.
---@return string
function Lab:say(zh, en, ...)
  return self:text({ zh = zh, en = en }):format(...)
end

---The path of the Lua interpreter that runs this, or BRAID_LUA.
---@return string
function M.interpreter()
  local chosen = os.getenv "BRAID_LUA"
  if chosen then return chosen end
  local exe = braid.process.run({ "readlink", "/proc/" .. require("braid.core").pid() .. "/exe" })
  local path = exe and exe.stdout:match "%S+"
  if path and path:find "lua" then return path end
  return "lua5.4"
end

---Runs a chunk of Lua in a new process. `prefix`: words before the command, if any.
---@param chunk string
---@param prefix string[]?
---@return {code: integer?, stdout: string, stderr: string}
function Lab.script(_, chunk, prefix)
  local words = table.move(prefix or {}, 1, #(prefix or {}), 1, {})
  for _, word in ipairs { M.interpreter(), "-e", chunk } do words[#words + 1] = word end
  return assert(braid.process.run(words, {
    timeout = 60,
    env = { LUA_PATH = package.path, LUA_CPATH = package.cpath, LUA_PATH_5_4 = false, LUA_CPATH_5_4 = false },
  }))
end

---The address of the delay server. The first call starts it in a new process.
---@return string url
function Lab:server()
  if not self.process then
    self.process = assert(braid.process.start({ M.interpreter(), "-e", "require 'braid.tutorial.delay_server'.main()" },
      { env = { LUA_PATH = package.path, LUA_CPATH = package.cpath } }))
    self.url = "http://" .. assert(self.process:read("l", 10)):match "(%S+)$"
  end
  return self.url
end

---@return any result of fn
---@return number seconds
function Lab.time(_, fn, ...)
  local start = braid.now()
  local result = fn(...)
  return result, braid.now() - start
end

---The median of several runs, in seconds.
---@param repeats integer
---@return number
function Lab.median(_, repeats, fn, ...)
  local times = {}
  for i = 1, repeats do
    local start = braid.now()
    fn(...)
    times[i] = braid.now() - start
  end
  table.sort(times)
  return times[(repeats + 1) // 2]
end

---The shortest of several runs, in seconds: the best that the machine can do without disturbance.
---@param repeats integer
---@return number
function Lab.least(_, repeats, fn, ...)
  local least = math.huge
  for _ = 1, repeats do
    local start = braid.now()
    fn(...)
    least = math.min(least, braid.now() - start)
  end
  return least
end

---Whether a speed-up over `k` cores is good enough: `goal`, three quarters unless told otherwise, of k. If it is not,
---and native threads of the core do not get further at this moment, the machine is busy with something else. So it is if
---the speed-up is far above the number of cores: then the serial run was disturbed.
---@param ratio number
---@param k integer
---@param goal number? share of k; default 0.75
---@return boolean
---@return string? busy the evidence
function Lab:holds(ratio, k, goal)
  if ratio > 1.5 * k then
    return false, self:say("%.2f 倍远多于 %d 核: 串行的测量受了干扰",
      "%.2f x is far more than %d cores: the serial run was disturbed", ratio, k)
  end
  if ratio >= (goal or 0.75) * k then return true end
  local numbers = {}
  for i = 1, 8 * k do numbers[i] = M.PRIME end
  local function seconds(threads)
    return self:least(2, braid.kernels.factorize, numbers, { method = "trial", threads = threads })
  end
  local native = seconds(1) / seconds(k)
  if native >= 0.9 * k then return false end
  return false, self:say("此刻原生线程在 %d 核上也只有 %.2f 倍", "native threads get only %.2f x on %d cores now",
    table.unpack(self.lang == "zh" and { k, native } or { native, k }))
end

---A model's name in the reader's language.
---@param kind string "inline", "tasks", "threads", "processes"
---@return string
function Lab:kind(kind)
  local names = { inline = "直接调用", tasks = "协程", threads = "线程", processes = "进程" }
  return self.lang == "zh" and names[kind] or kind
end

---Formats rows of cells as a table with aligned columns.
---@param cells string[][]
---@return string
function Lab.table(_, cells)
  local widths = {}
  for _, row in ipairs(cells) do
    for i, cell in ipairs(row) do widths[i] = math.max(widths[i] or 0, units.width(cell)) end
  end
  local lines = {}
  for n, row in ipairs(cells) do
    local padded = {}
    for i, cell in ipairs(row) do padded[i] = units.pad(cell, i == 1 and widths[i] or -widths[i]) end
    lines[n] = table.concat(padded, "  ")
  end
  return table.concat(lines, "\n")
end

---The algorithm of the document.
---@param n integer
---@return integer[]
function M.factorize(n)
  local factors, d = {}, 2
  while d * d <= n do
    while n % d == 0 do
      factors[#factors + 1] = d
      n = n // d
    end
    d = d + 1
  end
  if n > 1 then factors[#factors + 1] = n end
  return factors
end

M.PRIME = 112272535095293     -- the document's number: 0.1 s here
M.LARGE = 9007199254740881    -- about 0.85 s: the largest prime below 2^53

return M
