-- SPDX-License-Identifier: MIT
-- Finds modules after the program, or a worker, has changed to another folder. Keeps the code that workers need.

local M = {}

-- The C module is not opened here, because opening makes a loop. `braid_start` refuses a Lua that is too old, and
-- returns the current folder. If the C module is part of the program, it is in package.preload, and there is no file.
local core_file = not package.preload["braid.core"] and package.searchpath("braid.core", package.cpath) or nil
local start = core_file and package.loadlib(core_file, "braid_start")
local folder = start and start()

---Makes a path for package.path or package.cpath. Relative templates are tried from the current folder, as always, and
---at the end from the folder that was current when braid was loaded.
---@param path string
---@return string
function M.lasting(path)
  folder = folder or require("braid.core").start_folder
  for template in path:gmatch "[^;]+" do
    local last = folder and not template:find "^/" and folder .. "/" .. template
    if last and not (";" .. path .. ";"):find(";" .. last .. ";", 1, true) then path = path .. ";" .. last end
  end
  return path
end

---Called with the file in which Lua found braid. If it was found by a relative path, makes the paths lasting ones: the
---program may change its folder before it loads the next part.
---@param file string?
function M.keep(file)
  if (file or "/"):find "^[^/]" or (core_file or "/"):find "^[^/]" then
    package.path, package.cpath = M.lasting(package.path), M.lasting(package.cpath)
  end
end

-- An error of kind "system", if this process has no more descriptors. Without braid.errors it is a text.
local function shortage(name)
  local file, reason, code = io.open("/dev/null")
  if file then
    file:close()
    return nil
  end
  local text = ("module '%s' cannot be looked for: %s"):format(name, (reason:gsub("^/dev/null: ", "")))
  local errors = package.loaded["braid.errors"]
  return errors and errors.new("system", text, { code = code }) or text
end

---Loads a part of braid. `require` calls a file "not found" that it cannot open for want of descriptors.
---@param name string
---@return any module
function M.part(name)
  local ok, module = pcall(require, name)
  if not ok then error(shortage(name) or module, 0) end
  return module
end

-- ---- the code of modules --------------------------------------------------------------------------------------------

local chunks = {} -- by the module's name

local function chunk_of(name)
  local file = package.searchpath(name, package.path)
  return file and loadfile(file), file
end

---Loads a module of braid like `require`, and keeps its code.
---@param name string
---@return any module
function M.load(name)
  if package.loaded[name] or package.preload[name] then return require(name) end
  local chunk, file = chunk_of(name)
  if not chunk then return require(name) end
  chunks[name] = chunk
  package.loaded[name] = chunk(name, file)
  return package.loaded[name]
end

---The compiled code of a module. It is read from its file if it was not kept.
---@param name string
---@return string? code nil: it was not found
function M.code(name)
  local chunk = chunks[name] or chunk_of(name)
  return chunk and string.dump(chunk)
end

return M
