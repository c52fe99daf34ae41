-- SPDX-License-Identifier: MIT
-- Replaces the workers of a server when the application's files change. For development.
local core = require "braid.core"
local errors = require "braid.errors"
local files = require "braid.file.watch"

local M = {}

local QUIET = 0.1 -- seconds without a change, after which an editor has written all it wanted

local function say(format, ...) io.stderr:write(("braid: " .. format .. "\n"):format(...)) end

local function folder_of(file) return file:match "^(.+)/[^/]*$" or file:sub(1, 1) == "/" and "/" or "." end

-- Whether a change matters: of a Lua file, or of any file in a folder that was named; not of what editors leave.
local function matters(change, all)
  local name = change.path:match "[^/]*$"
  if change.path:find "/%.[^/.]" or name:find "^%." or name:find "~$" or name:find "^#" then return false end
  return all or name:find "%.lua$" ~= nil
end

-- Calls fn with the path of each change that matters.
local function follow(watched, fn)
  for change in watched.changes do
    if matters(change, watched.all) then fn(change.path) end
  end
end

--- Begins to watch the folder of a file (its Lua files), and further folders (all files).
---@param file string
---@param folders boolean|string[]
---@return {changes: braid.file.Watch, all: boolean}[]
function M.open(file, folders)
  local list = {}
  local function add(folder, all)
    local changes, err = files.open(folder, { recursive = true })
    if not changes then say("changes in %s are not noticed: %s", folder, errors.text(err)) end
    list[#list + 1] = changes and { changes = changes, all = all }
  end
  add(folder_of(file), false)
  for _, folder in ipairs(type(folders) == "table" and folders or {}) do add(folder, true) end
  return list
end

--- Replaces the workers when something has changed. Ends when it is cancelled.
---@param running braid.web.Supervisor
---@param list {changes: braid.file.Watch, all: boolean}[] of open
function M.watch(running, list)
  local changed, when
  local function note(path) changed, when = path, core.now() end
  for _, watched in ipairs(list) do core.spawn(follow, watched, note):daemon() end
  while true do
    core.sleep(QUIET / 2)
    if changed and core.now() - when >= QUIET then
      say("%s has changed", changed)
      changed = nil
      local replaced, problem = running:reload()
      if not replaced then say("the workers are not replaced: %s", errors.text(problem)) end
    end
  end
end

return M
