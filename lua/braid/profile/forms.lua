-- SPDX-License-Identifier: MIT
-- A profile as text: folded stacks, and JSON for speedscope.
local json = require "braid.json"

local M = {}

---Folded stacks, as flamegraph.pl and others read them: a line for each stack, "frame;frame;frame TICKS".
---@param stacks braid.profile.Stacks
---@return string
function M.folded(stacks)
  local lines = {}
  for i, stack in ipairs(stacks:list()) do
    local names = {}
    for at, frame in ipairs(stack.frames) do names[at] = frame.name end
    lines[i] = ("%s %d\n"):format(table.concat(names, ";"), stack.ticks)
  end
  return table.concat(lines)
end

-- Frames once, and each stack as a list of their numbers, from 0.
local function number_frames(stacks)
  local frames, number = {}, {}
  for _, stack in ipairs(stacks:list()) do
    for _, frame in ipairs(stack.frames) do
      if not number[frame] then
        frames[#frames + 1] = { name = frame.name, file = frame.file, line = frame.line }
        number[frame] = #frames - 1
      end
    end
  end
  return frames, number
end

-- A profile for each state.
local function profiles_of(stacks, number)
  local list, by_state = {}, {}
  for _, stack in ipairs(stacks:list()) do
    local state = stack.frames[1]
    local profile = by_state[state]
    if not profile then
      profile = {
        type = "sampled", name = state.name, unit = "seconds", startValue = 0, endValue = 0,
        samples = json.array {}, weights = json.array {},
      }
      by_state[state], list[#list + 1] = profile, profile
    end
    local numbers, seconds = {}, stack.ticks / stacks.rate
    for i = 2, #stack.frames do numbers[i - 1] = number[stack.frames[i]] end
    profile.samples[#profile.samples + 1] = json.array(numbers)
    profile.weights[#profile.weights + 1] = seconds
    profile.endValue = profile.endValue + seconds
  end
  return list
end

---JSON that speedscope (speedscope.app) opens.
---@param stacks braid.profile.Stacks
---@param title string
---@return string
function M.speedscope(stacks, title)
  local frames, number = number_frames(stacks)
  return json.encode({
    ["$schema"] = "https://www.speedscope.app/file-format-schema.json", name = title, exporter = "braid",
    shared = { frames = json.array(frames) }, profiles = json.array(profiles_of(stacks, number)),
    activeProfileIndex = 0,
  }, { invalid = "replace" })
end

return M
