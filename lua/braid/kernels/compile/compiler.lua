-- SPDX-License-Identifier: MIT
--- From C to code that can be called: by the system's C compiler, once for each text, kept in the user's cache folder.
--- The folder and the files must be this user's own, and no other user may be able to write them.
---
--- Tasks and processes that need one library at the same time compile it once: the first has the lock of a file beside
--- it, and the others wait. Libraries that were not used for the longest time are removed when all have more than MOST
--- bytes.

local core = require "braid.core"
local task = require "braid.tasks.task"

local M = {}

local FLAGS = { "-O3", "-march=native", "-fwrapv", "-fno-strict-aliasing", "-fno-math-errno", "-fno-trapping-math",
  "-fPIC", "-shared", "-w", "-x", "c" }
local EXACT = { "-ffp-contract=off", "-fopt-info-vec-optimized" }
local FAST = { "-ffast-math", "-fopt-info-vec-optimized" }

-- Lua calls the C library at run time. So must a kernel: a compiler would compute a call of constants by itself, and
-- round differently. Not with fast_math.
for name in ("sin cos tan asin acos atan2 exp log log2 log10 pow fmod"):gmatch "%w+" do
  EXACT[#EXACT + 1] = "-fno-builtin-" .. name
end

-- The compiler: { path, version }, or false when there is none. It is looked for once.
local compiler

local function find_compiler()
  if compiler ~= nil then return compiler end
  compiler = false
  local wanted = os.getenv "BRAID_CC"
  if wanted == "" then return compiler end -- none is wanted
  for _, name in ipairs { wanted or "cc", not wanted and "gcc" or nil, not wanted and "clang" or nil } do
    for folder in (name:find "/" and "" or os.getenv "PATH" or "/usr/bin:/bin"):gmatch "[^:]*" do
      local path = name:find "/" and name or folder .. "/" .. name
      local version = (folder ~= "" or name:find "/") and core.compiled_file(path)
      if version then
        compiler = { path = path, version = version }
        return compiler
      end
    end
  end
  return compiler
end

-- What the code depends on beside its text.
local machine
local function machine_text()
  if machine then return machine end
  local file <close> = io.open "/proc/cpuinfo"
  local text = file and file:read(4096) or ""
  machine = (text:match "model name[^\n]*" or "") .. (text:match "flags[^\n]*" or text:match "Features[^\n]*" or "")
  return machine
end

-- The cache folder; nil and the reason when there is none that can be trusted. Each part of the path is made.
local function cache_folder()
  local root = os.getenv "XDG_CACHE_HOME"
  if not root or root:sub(1, 1) ~= "/" then
    local home = os.getenv "HOME"
    if not home or home == "" then return nil, "neither HOME nor XDG_CACHE_HOME is set" end
    root = home .. "/.cache"
  end
  core.compiled_folder(root)
  core.compiled_folder(root .. "/braid")
  local folder = root .. "/braid/kernels"
  local made, why = core.compiled_folder(folder, true)
  if not made then return nil, ("%s: %s"):format(folder, why) end
  return folder
end

local function read(path)
  local file <close> = io.open(path, "rb")
  return file and file:read("a")
end

local function write(path, text)
  local file <close> = io.open(path, "wb")
  return file and file:write(text) and file:close()
end

local counter = 0

local function process_number()
  local file <close> = io.open "/proc/self/stat"
  return file and file:read "n" or 0
end

-- Runs the compiler into a temporary file and renames that: a reader sees all of the file or none.
local function build(path, source, flags)
  local process = require "braid.io.process"
  counter = counter + 1
  local unique = core.compiled_hash(("%s %d %d"):format(tostring {}, process_number(), counter))
  local temporary = ("%s.%s.tmp"):format(path, unique:sub(1, 12))
  local command = { compiler.path }
  table.move(FLAGS, 1, #FLAGS, 2, command)
  table.move(flags, 1, #flags, #command + 1, command)
  for _, word in ipairs { "-o", temporary, "-", "-lm" } do command[#command + 1] = word end
  local result, err = process.run(command, { stdin = source })
  if not result or result.code ~= 0 then
    os.remove(temporary)
    return nil, result and result.stderr or tostring(err)
  end
  write(path .. ".txt", result.stderr)
  local renamed, why = os.rename(temporary, path)
  return renamed, why
end

local MOST = 256 << 20

-- Waits for the lock of a library, and compiles it unless another process has done so meanwhile.
local function build_once(path, source, flags, alone)
  local lock = path .. ".lock"
  local file <close> = require("braid.file").open(lock, "w")
  if file then file:lock "exclusive" end -- a file system without locks: several processes may compile it
  local library = core.compiled_open(path, alone)
  if library then return library, true end
  local built, failure = build(path, source, flags)
  if built then
    library, failure = core.compiled_open(path, alone)
    core.compiled_evict(path:match "^(.*)/", MOST)
  end
  os.remove(lock)
  if library then return library, false end
  return nil, failure
end

-- Texts that are compiled now in this state: later callers wait for the first.
local pending = {}

---The library of a C text.
---@param source string
---@param alone boolean? the code is for arrays that share no elements
---@param fast_math boolean?
---@return userdata|nil library
---@return string|table info why there is none; or { seconds, cached, vectorized }
function M.compile(source, alone, fast_math)
  if not find_compiler() then return nil, "no C compiler was found" end
  local folder, why = cache_folder()
  if not folder then return nil, why end
  local flags = fast_math and FAST or EXACT
  local key = core.compiled_hash(table.concat({ source, compiler.path, compiler.version, machine_text(),
    table.concat(FLAGS, " "), table.concat(flags, " ") }, "\0"))
  local path = ("%s/%s.so"):format(folder, key)
  local begin = task.now()
  while pending[key] do pending[key]:wait() end
  local library = core.compiled_open(path, alone)
  local info = { cached = library ~= nil, seconds = 0 }
  if not library then
    local event = require("braid.sync.primitives").event()
    pending[key] = event
    local _ <close> = setmetatable({}, { __close = function()
      pending[key] = nil
      event:set()
    end })
    local outcome
    library, outcome = build_once(path, source, flags, alone)
    if not library then return nil, outcome end
    info.cached = outcome
  end
  info.seconds = task.now() - begin
  info.vectorized = (read(path .. ".txt") or ""):find("vectorized", 1, true) ~= nil
  return library, info
end

return M
