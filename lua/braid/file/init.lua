-- SPDX-License-Identifier: MIT
--- Files and folders. The calls of the system that wait for a disk run on a few threads of braid, so the loop goes on.

local core = require "braid.core"
local errors = require "braid.errors"
local handle = require "braid.file.handle"
local scope = require "braid.tasks.scope"
local watch = require "braid.file.watch"

local M = {}

local settled = handle.settled

local KINDS = {
  f = "file", d = "folder", l = "link", p = "fifo", s = "socket", c = "device", b = "device", ["?"] = "unknown",
}

local function check_path(what, path, name)
  if type(path) ~= "string" or path == "" or path:find("\0", 1, true) then
    errors.misuse(2, "bad argument '%s' to '%s' (a path expected, got %s)", name or "path", what,
      path == "" and "an empty text" or errors.described(path))
  end
end

local function check_data(what, data)
  if type(data) == "number" then return tostring(data) end
  if type(data) ~= "string" then
    errors.misuse(2, "bad argument 'data' to '%s' (a string expected, got %s)", what, errors.described(data))
  end
  return data
end

local function mode_of(opts, default)
  local mode = opts and opts.mode or default
  if mode < 0 or mode > 4095 then
    errors.misuse(2, "bad option 'mode' (permissions expected, up to %d = 7777 in octal, got %d)", 4095, mode)
  end
  return mode
end

-- ---- open files -----------------------------------------------------------------------------------------------------

local MODES = { r = true, w = true, a = true, ["r+"] = true, ["w+"] = true, ["a+"] = true }

-- A FIFO can only be opened for writing when somebody has it open for reading. io waits for that, too.
local function open(path, mode)
  return handle.wait_for("file.open", nil, function()
    local opened, letter = core.file_open(path, mode)
    if opened then return handle.new(path, mode, opened, letter) end
    if letter.code ~= core.ENXIO or core.file_stat(path).kind ~= "p" then return nil, letter end
    return false
  end)
end

---Opens a file as `io.open` does. FIFOs and devices can be opened, too; they wait like streams. Suspends.
---@param path string
---@param mode "r"|"w"|"a"|"r+"|"w+"|"a+"|nil default "r"; a "b" may follow
---@return braid.File? file
---@return braid.Error? err kind system, with `code`, the error number
function M.open(path, mode)
  check_path("open", path)
  local plain = type(mode) == "string" and mode:gsub("b$", "") or mode == nil and "r"
  if not MODES[plain] then
    errors.misuse(1, "bad argument 'mode' to 'open' (\"r\", \"w\", \"a\", \"r+\", \"w+\" or \"a+\" expected, got %s)",
      type(mode) == "string" and ("%q"):format(mode) or errors.described(mode))
  end
  return open(path, plain)
end

-- ---- whole files ----------------------------------------------------------------------------------------------------

---Returns all of a file. Suspends.
---@param path string
---@return string? data
---@return braid.Error? err kind system, with `code`
function M.read(path)
  check_path("read", path)
  local data, letter = core.file_load(path)
  if not data then return nil, letter end
  if type(data) == "string" then return data end
  local file <close> = handle.new(path, "r", data, letter)
  return file:read "a"
end

local WRITE_OPTIONS = { atomic = "boolean", mode = "integer", sync = "boolean" }

-- Writes to a file that is no regular one, and closes it.
local function write_stream(file, err, data)
  if not file then return nil, err end
  local opened <close> = file
  local ok, why = opened:write(data)
  if not ok then return nil, why end
  return true
end

local function store(path, data, mode)
  local count, err, before = core.file_store(path, data, mode)
  if type(count) == "userdata" then return write_stream(handle.new(path, mode, count, err), nil, data) end
  local unread = not count and err ~= "cut" and err.code == core.ENXIO -- a FIFO
  local ok, why
  if unread then
    ok, why = open(path, mode)
    return write_stream(ok, why, data)
  end
  ok, why = settled(count, err, before)
  if not ok then return nil, why end
  return true
end

---Writes a file: makes it, or replaces what it contains. Suspends. With `atomic`, there is at any time a complete file:
---the old one or the new one, also after a crash of the machine; it keeps the permissions of the old one.
---A timeout or a cancel may end it in the middle. With `atomic` the old file is there then; else `err.written` tells
---how many bytes of the new one there are.
---@param path string
---@param data string|number
---@param opts {atomic: boolean?, sync: boolean?, mode: integer?}? sync = false: an atomic write does not wait for the
--- disk, and survives a crash of the program alone. mode: permissions of a new file that is written with `atomic`
---@return true? written
---@return braid.Error? err kind system, with `code`, and `written`
function M.write(path, data, opts)
  check_path("write", path)
  data = check_data("write", data)
  errors.check_options(1, "write", opts, WRITE_OPTIONS)
  if not (opts and opts.atomic) then return store(path, data, "w") end
  return settled(core.file_replace(path, data, mode_of(opts, 438), opts.sync ~= false)) -- 666 in octal
end

---Adds to the end of a file; makes it if there is none. Suspends.
---@param path string
---@param data string|number
---@return true? written
---@return braid.Error? err kind system, with `code`, and `written`
function M.append(path, data)
  check_path("append", path)
  return store(path, check_data("append", data), "a")
end

---Copies a regular file with its permissions; replaces what the other contains. Suspends.
---@param path string
---@param to string
---@return true? copied
---@return braid.Error? err kind system, with `code`, and `written`: how many bytes of the copy there are
function M.copy(path, to)
  check_path("copy", path)
  check_path("copy", to, "to")
  local ok, err = settled(core.file_copy(path, to))
  if not ok then return nil, err end
  return true
end

---Renames a file or a folder; replaces a file that has the new name, in one step. Suspends.
---@param path string
---@param to string
---@return true? renamed
---@return braid.Error? err kind system, with `code`
function M.rename(path, to)
  check_path("rename", path)
  check_path("rename", to, "to")
  return settled(core.file_rename(path, to))
end

local REMOVE_OPTIONS = { recursive = "boolean" }

---Removes a file or an empty folder. Suspends.
---@param path string
---@param opts {recursive: boolean?}? recursive: also what is in the folder; links are removed, not followed
---@return true? removed
---@return braid.Error? err kind system, with `code`
function M.remove(path, opts)
  check_path("remove", path)
  errors.check_options(1, "remove", opts, REMOVE_OPTIONS)
  return settled(core.file_remove(path, opts and opts.recursive))
end

-- ---- folders --------------------------------------------------------------------------------------------------------

local MAKE_OPTIONS = { parents = "boolean", mode = "integer" }

---Makes a folder. Suspends.
---@param path string
---@param opts {parents: boolean?, mode: integer?}? parents: makes those that are missing, too, and it is no error if
--- the folder is there. mode: permissions, of which the system takes its umask away; default 777 in octal
---@return true? made
---@return braid.Error? err kind system, with `code`
function M.mkdir(path, opts)
  check_path("mkdir", path)
  errors.check_options(1, "mkdir", opts, MAKE_OPTIONS)
  return settled(core.file_make(path, mode_of(opts, 511), opts and opts.parents))
end

---The names in a folder, sorted by their bytes, without "." and "..". Suspends.
---@param path string
---@return string[]? names
---@return braid.Error? err kind system, with `code`
function M.list(path)
  check_path("list", path)
  local names, err = core.file_list(path)
  if not names then return nil, err end
  return names
end

local STAT_OPTIONS = { follow = "boolean" }

---What the system knows of a file. Suspends.
---@param path string
---@param opts {follow: boolean?}? follow = false: of a symbolic link itself
---@return {size: integer, kind: string, mode: integer, mtime: number, atime: number, ctime: number, uid: integer,
--- gid: integer, inode: integer, links: integer}? facts kind: "file", "folder", "link", "fifo", "socket" or "device";
--- mode: the permissions; times: seconds since 1970
---@return braid.Error? err kind system, with `code`
function M.stat(path, opts)
  check_path("stat", path)
  errors.check_options(1, "stat", opts, STAT_OPTIONS)
  local facts, err = core.file_stat(path, opts and opts.follow == false)
  if not facts then return nil, err end
  facts.kind = KINDS[facts.kind]
  return facts
end

local function join(folder, name) return folder:sub(-1) == "/" and folder .. name or folder .. "/" .. name end

-- What is in a folder: a list of paths and kinds. Empty if the folder has gone meanwhile.
local function entries(folder, is_root)
  local names, letters = core.file_list(folder)
  if not names then
    if not is_root and letters.code == core.ENOENT then return {} end
    error(letters, 0)
  end
  local found = {}
  for i, name in ipairs(names) do
    local path, letter = join(folder, name), letters:sub(i, i)
    found[i] = { path = path, kind = KINDS[letter] }
  end
  return found
end

---An iterator over everything below a folder: paths, which begin with `path`, and kinds as in `stat`. A folder comes
---before what is in it. Symbolic links are not followed. It raises errors. Each step may suspend.
---@param path string
---@return fun(): string?, string?
function M.walk(path)
  check_path("walk", path)
  local levels, root = nil, path
  return function()
    levels = levels or { { list = entries(root, true), at = 0 } }
    while levels[1] do
      local level = levels[#levels]
      level.at = level.at + 1
      local entry = level.list[level.at]
      if entry then
        if entry.kind == "folder" then levels[#levels + 1] = { list = entries(entry.path), at = 0 } end
        return entry.path, entry.kind
      end
      levels[#levels] = nil
    end
  end
end

-- ---- temporary files ------------------------------------------------------------------------------------------------

---A temporary folder. `<close>` removes it with all that is in it.
---@class braid.TemporaryFolder
---@field path string
local TemporaryFolder = { __name = "braid.temporary_folder" }
TemporaryFolder.__index = TemporaryFolder

---Removes the folder with all that is in it, also where the task is cancelled. Suspends.
---@return true? removed
---@return braid.Error? err kind system
function TemporaryFolder:close()
  if self._closed then return true end
  self._closed = true
  local ok, err = scope.shield(core.file_remove, self.path, true)
  return ok, err
end

TemporaryFolder.__close = TemporaryFolder.close

local TEMPORARY_OPTIONS = { folder = "boolean", prefix = "string", parent = "string" }

---Makes a file with a name of its own, open for reading and writing, or a folder. Its `path` tells where. It is removed
---when it is closed. Only this user can read it. Suspends.
---@param opts {folder: boolean?, prefix: string?, parent: string?}? prefix: how its name begins; parent: the folder in
--- which it is made, default $TMPDIR or /tmp
---@return braid.File|braid.TemporaryFolder|nil made
---@return braid.Error? err kind system, with `code`
function M.temporary(opts)
  errors.check_options(1, "temporary", opts, TEMPORARY_OPTIONS)
  opts = opts or {}
  local prefix, parent = opts.prefix or "braid-", opts.parent or os.getenv "TMPDIR" or "/tmp"
  if prefix:find "[/%z]" then
    errors.misuse(1, "bad option 'prefix' of 'temporary' (the beginning of a name expected)")
  end
  local path, opened, count = core.file_temporary(join(parent, prefix .. "XXXXXX"), opts.folder)
  if not path then return settled(nil, opened, count) end
  if opts.folder then return setmetatable({ path = path }, TemporaryFolder) end
  local file = handle.new(path, "w+", opened, "f")
  file._temporary = true
  return file
end

---Watches a file, or what is in a folder: see `braid.file.Watch`. What happens after it has returned is told. Linux.
---Suspends.
---@param path string
---@param opts {recursive: boolean?}? recursive: also what is in the folders below, and in those that are made later
---@return braid.file.Watch? changes
---@return braid.Error? err kind system, with `code`
function M.watch(path, opts)
  check_path("watch", path)
  return watch.open(path, opts)
end

errors.guard(TemporaryFolder)

return M
