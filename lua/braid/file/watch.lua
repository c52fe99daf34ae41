-- SPDX-License-Identifier: MIT
-- Changes of files, as inotify(7) tells them: one watch for each folder.
local core = require "braid.core"
local errors = require "braid.errors"

local M = {}

local MODIFY, MOVED_FROM, MOVED_TO = 0x2, 0x40, 0x80
local CREATE, DELETE, DELETE_SELF, MOVE_SELF = 0x100, 0x200, 0x400, 0x800
local OVERFLOW, IGNORED, ONLY_FOLDERS, IS_FOLDER = 0x4000, 0x8000, 0x1000000, 0x40000000
local EVENTS = MODIFY | MOVED_FROM | MOVED_TO | CREATE | DELETE | DELETE_SELF | MOVE_SELF

local CHUNK = 65536 -- bytes of one read
local PAIR = 0.02 -- seconds in which the second half of a move comes

---Changes below a path: `for change in changes do` iterates over them, until it is closed or what it watches is gone.
---Each change is a table: `kind` is "created", "modified", "deleted", "moved" (then `from` is the old path) or
---"overflow" (the system has dropped changes), and `path` says where. Changes of the same kind of the same file that
---nobody has taken yet are told once.
---@class braid.file.Watch
---@field private _handle userdata to which watches are added
---@field private _descriptor userdata from which changes are read
---@field private _root string
---@field private _only string? the name in the root that is watched, if it is no folder
---@field private _path string? its path as it was given
---@field private _recursive boolean
---@field private _folders table<integer, string> number of a watch -> its folder
---@field private _ready table[] changes that nobody has taken
---@field private _move table? the first half of a move
---@field private _told table<string, true> found in new folders; their own events may still come
---@field private _ended boolean? the root is gone
local Watch = { __name = "braid.file.watch" }
Watch.__index = Watch

local function join(folder, name) return folder:sub(-1) == "/" and folder .. name or folder .. "/" .. name end

local function add(self, change)
  local last = self._ready[#self._ready]
  if last and last.kind == change.kind and last.path == change.path and change.kind == "modified" then return end
  self._ready[#self._ready + 1] = change
end

-- ---- folders --------------------------------------------------------------------------------------------------------

-- Adds a watch. A folder may have gone meanwhile.
local function add_watch(self, folder)
  local number, err = self._handle:watch(folder, EVENTS | ONLY_FOLDERS)
  if number then self._folders[number] = folder end
  return number, err
end

-- Watches what is below a folder. `tell`: the folder is new, and what is in it has been made before it was watched.
local function add_below(self, folder, tell)
  local names, letters = core.file_list(folder)
  for i, name in ipairs(names or {}) do
    local path = join(folder, name)
    if tell and not self._told[path] then
      self._told[path] = true
      add(self, { kind = "created", path = path })
    end
    if letters:sub(i, i) == "d" and add_watch(self, path) then add_below(self, path, tell) end
  end
end

local function add_folder(self, folder, tell)
  if self._recursive and add_watch(self, folder) then add_below(self, folder, tell) end
end

-- A folder has another name now; nil: it is not below the root any more.
local function rename_folders(self, from, to)
  for number, folder in pairs(self._folders) do
    if folder == from or folder:sub(1, #from + 1) == from .. "/" then
      self._folders[number] = to and to .. folder:sub(#from + 1)
    end
  end
end

-- ---- events ---------------------------------------------------------------------------------------------------------

local function created(self, path, is_folder)
  if self._told[path] then
    self._told[path] = nil
  else
    add(self, { kind = "created", path = path })
  end
  if is_folder then add_folder(self, path, true) end
end

local function deleted(self, path)
  self._told[path] = nil
  add(self, { kind = "deleted", path = path })
end

-- The second half of a move has not come: it went to a place that is not watched.
local function give_up_move(self)
  local move = self._move
  self._move = nil
  if not move then return end
  if move.is_folder then rename_folders(self, move.path) end
  deleted(self, move.path)
end

local function moved_to(self, path, is_folder, cookie)
  local move = self._move
  if not move or move.cookie ~= cookie then
    give_up_move(self)
    created(self, path, is_folder)
    return
  end
  self._move = nil
  if is_folder then rename_folders(self, move.path, path) end
  add(self, { kind = "moved", path = path, from = move.path })
end

local function on_self(self, number, mask)
  local folder = self._folders[number]
  if mask & IGNORED ~= 0 then self._folders[number] = nil end
  if folder ~= self._root or self._ended or mask & (DELETE_SELF | MOVE_SELF) == 0 then return end
  self._ended = true
  if not self._only then add(self, { kind = "deleted", path = folder }) end
end

local function on_entry(self, path, mask, cookie)
  local is_folder = mask & IS_FOLDER ~= 0
  if mask & MOVED_TO == 0 then give_up_move(self) end
  if mask & MOVED_TO ~= 0 then
    moved_to(self, path, is_folder, cookie)
  elseif mask & MOVED_FROM ~= 0 then
    self._move = { path = path, cookie = cookie, is_folder = is_folder }
  elseif mask & CREATE ~= 0 then
    created(self, path, is_folder)
  elseif mask & DELETE ~= 0 then
    deleted(self, path)
  elseif mask & MODIFY ~= 0 then
    add(self, { kind = "modified", path = path })
  end
end

-- Of a single file: what happens to its name. A file that takes its place has changed it.
local function on_single(self, mask)
  local path = self._path
  if mask & MOVED_TO ~= 0 then
    add(self, { kind = "modified", path = path })
  elseif mask & MOVED_FROM ~= 0 then
    deleted(self, path)
  else
    on_entry(self, path, mask, 0)
  end
end

-- The system also tells of files without a name (O_TMPFILE), as "#" and their number.
local function is_nameless(self, number, name)
  local folder = name:find "^#%d+$" and self._folders[number]
  return folder and not core.file_stat(join(folder, name))
end

local function on_event(self, number, mask, cookie, name)
  if mask & OVERFLOW ~= 0 then
    add(self, { kind = "overflow", path = self._root })
    if self._recursive then add_below(self, self._root, false) end
  elseif name == "" then
    on_self(self, number, mask)
  elseif self._only then
    if name == self._only then on_single(self, mask) end
  elseif self._folders[number] and not is_nameless(self, number, name) then
    on_entry(self, join(self._folders[number], name), mask, cookie)
  end
end

local function parse(self, data)
  local at = 1
  while at + 15 <= #data do
    local number, mask, cookie, size, from = string.unpack("=i4I4I4I4", data, at)
    on_event(self, number, mask, cookie, (data:sub(from, from + size - 1):gsub("%z.*", "")))
    at = from + size
  end
end

-- ---- what a program calls -------------------------------------------------------------------------------------------

-- Waits for more events. False, and the error, if there are none.
local function fetch(self, timeout)
  local limit = self._move and (not timeout or timeout > PAIR) and PAIR or timeout
  local data, err = self._descriptor:read(CHUNK, limit)
  if data then
    parse(self, data)
    return true
  end
  if self._move and err and err.kind == "timeout" then
    give_up_move(self)
    return true
  end
  return false, err or errors.new("closed", "watch:get: it is closed")
end

---Waits for the next change. Suspends.
---@param timeout number? seconds
---@return {kind: string, path: string, from: string?}? change nil when what it watches is gone
---@return braid.Error? err kinds: timeout, closed, system
function Watch:get(timeout)
  local deadline = errors.deadline(1, "get", timeout)
  while not self._ready[1] do
    if self._ended then return nil end
    local more, err = fetch(self, errors.time_left(deadline))
    if not more then
      if err.kind == "timeout" then err = errors.new("timeout", "watch:get: timed out") end
      return nil, err
    end
  end
  return table.remove(self._ready, 1)
end

---Ends it at once. Who waits in `get` is told (kind "closed"). Does nothing if it is closed.
function Watch:close()
  self._descriptor:close()
  if self._handle then
    local handle = self._handle
    self._handle = nil
    handle:close()
  end
end

Watch.__close = Watch.close

function Watch:__call()
  local change, err = self:get()
  if err and err.kind ~= "closed" then error(err, 0) end
  return change
end

local OPTIONS = { recursive = "boolean" }

---See init.lua. Suspends.
---@param path string
---@param opts {recursive: boolean?}?
---@return braid.file.Watch? changes
---@return braid.Error? err
function M.open(path, opts)
  errors.check_options(2, "watch", opts, OPTIONS)
  if not core.file_watcher then
    return nil, errors.new("system", "file.watch: this system has no inotify")
  end
  local facts, missing = core.file_stat(path)
  if not facts then
    missing.message = missing.message:gsub("^file%.stat", "file.watch")
    return nil, missing
  end
  local adder, descriptor = core.file_watcher()
  if not adder then return nil, descriptor end
  local self = setmetatable({
    _handle = adder, _descriptor = descriptor, _root = path, _recursive = opts and opts.recursive or false,
    _folders = {}, _ready = {}, _told = {},
  }, Watch)
  if facts.kind ~= "d" then
    self._path, self._root, self._only = path, path:match "^(.*)/[^/]*$" or ".", path:match "[^/]*$"
    if self._root == "" then self._root = "/" end
  end
  local number, err = add_watch(self, self._root)
  if not number then
    self:close()
    return nil, err
  end
  if self._recursive and not self._only then add_below(self, path, false) end
  return self
end

errors.guard(Watch)

return M
