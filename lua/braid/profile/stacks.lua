-- SPDX-License-Identifier: MIT
-- What a profile has seen: stacks, and how often each was met. A stack begins with the name of a state, then comes the
-- task if it has a name, then functions from the outermost to the innermost.
local core = require "braid.core"

local M = {}

---A place in a stack: a function, or a state, a task, a kernel.
---@class braid.profile.Frame
---@field name string with its file and line: "handler (app.lua:12)"
---@field file string? of a Lua function
---@field line integer? of its definition

---@class braid.profile.Stack
---@field frames braid.profile.Frame[] the outermost first
---@field ticks integer how often it was met

---@class braid.profile.Stacks
---@field rate integer ticks in a second
---@field total integer ticks
---@field lines table<braid.profile.Frame, table<integer, integer>> ticks by the line at which a function was met,
--- where it was the innermost
---@field private _by_key table<string, braid.profile.Stack>
---@field private _frames table<string, braid.profile.Frame> by function
local Stacks = { __name = "braid.profile.Stacks" }
Stacks.__index = Stacks

---@param rate integer
---@return braid.profile.Stacks
function M.new(rate)
  return setmetatable({ rate = rate, total = 0, lines = {}, _by_key = {}, _frames = {} }, Stacks)
end

local function clean(text) return (core.printable(text):gsub(";", ",")) end

-- The file as people know it: braid's own by the part after its folder.
local function short(file) return file:match "(braid/[%w_/]+%.lua)$" or file:gsub("^%./", "") end

local function intern(self, key, make)
  local frame = self._frames[key]
  if not frame then
    frame = make()
    self._frames[key] = frame
  end
  return frame
end

-- A function's frame. The same function may be called by several names: the first one stays.
local function frame_of(self, name, file, defined)
  if file == "[C]" then
    return intern(self, "C " .. name, function()
      return { name = (name == "" and "a C function" or clean(name)) .. " [C]" }
    end)
  end
  local frame = intern(self, file .. ":" .. defined, function()
    return { file = clean(file), line = math.tointeger(tonumber(defined)) }
  end)
  if not frame.name or name ~= "" and not frame.named then
    frame.named = name ~= "" or nil
    frame.name = ("%s (%s:%s)"):format(name == "" and "function" or clean(name), clean(short(file)), defined)
  end
  return frame
end

local function special(self, text)
  return intern(self, "= " .. text, function() return { name = clean(text) } end)
end

local function read_frame(self, text)
  local name, file, defined, line = text:match "^([^\31]*)\31([^\31]*)\31(%-?%d+)\31(%-?%d+)$"
  if not name then return special(self, text), nil end
  return frame_of(self, name, file, defined), math.tointeger(tonumber(line))
end

local function count_line(self, frame, line, ticks)
  if not line or line < 0 then return end
  local counts = self.lines[frame] or {}
  self.lines[frame] = counts
  counts[line] = (counts[line] or 0) + ticks
end

local function add(self, frames, ticks)
  local names = {}
  for i, frame in ipairs(frames) do names[i] = tostring(frame) end
  local key = table.concat(names, " ")
  local stack = self._by_key[key]
  if not stack then
    stack = { frames = frames, ticks = 0 }
    self._by_key[key] = stack
  end
  stack.ticks = stack.ticks + ticks
  self.total = self.total + ticks
end

---Adds a line of core/inspect/sampler.h. Lines that are none are left out.
---@param line string
---@param suffix string what is added to the name of the state, to tell processes apart
function Stacks:add_line(line, suffix)
  local ticks, state, task, rest = line:match "^(%d+)\t([^\t]*)\t([^\t]*)(.*)$"
  ticks = ticks and math.tointeger(tonumber(ticks))
  if not ticks or ticks == 0 then return end
  local inner = {}
  for text in rest:gmatch "\t([^\t]+)" do inner[#inner + 1] = text end
  while #inner > 1 and inner[#inner]:find "^\31%[C%]" do inner[#inner] = nil end -- the bottom of a task or a worker
  if not state:find " of process %d+$" then state = state .. suffix end -- as the worker of one is called
  local frames = { special(self, state) }
  if task ~= "" then frames[2] = special(self, "task " .. task) end
  for i = #inner, 1, -1 do
    local frame, at = read_frame(self, inner[i])
    frames[#frames + 1] = frame
    if i == 1 then count_line(self, frame, at, ticks) end
  end
  add(self, frames, ticks)
end

---All stacks, in a fixed order.
---@return braid.profile.Stack[]
function Stacks:list()
  local list, text = {}, {}
  for _, stack in pairs(self._by_key) do
    local names = {}
    for i, frame in ipairs(stack.frames) do names[i] = frame.name end
    text[stack], list[#list + 1] = table.concat(names, ";"), stack
  end
  table.sort(list, function(a, b) return text[a] < text[b] end)
  return list
end

return M
