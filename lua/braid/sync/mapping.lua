-- SPDX-License-Identifier: MIT
--- Arrays whose memory is a file: `array.mmap`. Pages are read when they are first touched, and processes that map one
--- file share them.

local core = require "braid.core"
local errors = require "braid.errors"
local npy = require "braid.sync.npy"
local view = require "braid.sync.view"

local M = {}

local options = { type = "string", shape = "table", offset = "integer", writable = "boolean", create = "boolean" }

-- The rows, and the columns or nil.
local function shape_of(shape)
  local rows, columns = math.tointeger(shape[1]), math.tointeger(shape[2])
  local sound = rows and rows >= 0 and (shape[2] == nil or columns and columns >= 0) and #shape <= 2
  if sound and (not columns or columns == 0 or rows <= math.maxinteger // 8 // columns) then return rows, columns end
  errors.misuse(2, "bad option 'shape' to 'mmap' ({ n } or { rows, columns } expected, got %s)",
    errors.described(shape))
end

-- Writes the header, and makes the file so long.
local function fill(file, header, size)
  local done, why = file:write(header)
  if done and size > #header then
    done, why = file:seek("set", size - 1)
    if done then done, why = file:write "\0" end
  end
  local closed, reason = file:close()
  return done and closed, why or reason
end

-- Makes a file of zeroes, and puts it in the place of an older one: who maps that one keeps it.
local function create(path, type, rows, columns, offset)
  local header = path:find "%.npy$" and npy.header(type, { rows, columns }) or ("\0"):rep(offset)
  local temporary = path .. ".part"
  local file, why = io.open(temporary, "wb")
  if not file then return nil, errors.new("system", why, { path = path }) end
  local done
  done, why = fill(file, header, #header + rows * (columns or 1) * npy.width(type))
  if done then done, why = os.rename(temporary, path) end
  if done then return true end
  os.remove(temporary)
  return nil, errors.new("system", tostring(why), { path = path })
end

-- What the file is said to have: { type, start, rows, columns, fortran }.
local function layout_of(path, opts)
  local size, err = core.storage_size(path)
  if not size then return nil, err end
  if not opts.type then return npy.read_header(path, npy.stored(path, 0), size) end
  local offset = opts.offset or 0
  local rows, columns
  if opts.shape then
    rows, columns = shape_of(opts.shape)
  else
    rows = math.max(0, size - offset) // npy.width(opts.type)
  end
  return { type = opts.type, start = offset, rows = rows, columns = columns }
end

-- Checks the options, and makes the file if that is wanted. Returns what is left of the options.
local function prepare(path, opts)
  if opts.type then core.array_new(opts.type, 0) end -- raises if there is no such type
  local width = opts.type and npy.width(opts.type)
  if opts.offset and not (width and opts.offset >= 0 and opts.offset % width == 0) then
    errors.misuse(2, "bad option 'offset' to 'mmap' (with a type, a multiple of its size expected, got %d)",
      opts.offset)
  end
  if not opts.create then return opts end
  if not opts.type or not opts.shape then
    errors.misuse(2, "the option 'create' of 'mmap' needs the options 'type' and 'shape'")
  end
  local rows, columns = shape_of(opts.shape)
  local made, err = create(path, opts.type, rows, columns, opts.offset or 0)
  if not made then return nil, err end
  if path:find "%.npy$" then return { writable = true } end
  return { type = opts.type, shape = opts.shape, offset = opts.offset, writable = true }
end

---Maps a file as an array: numpy's `.npy`, or with `type` the plain elements of any file, from the byte `offset` on.
---It reads nothing at first, so a file may be larger than the memory. Without `writable` the array cannot be written.
---With it, what is written goes to the file, in the system's own time; `array:sync()` waits until it is on the disk.
---Sending the array to another process maps the file there. May block for the file.
---
---If another program truncates the file, elements behind its new end are lost: who uses the array then, or runs a
---kernel on it meanwhile, fails with kind "system". The program goes on.
---@param path string
---@param opts { type: string?, shape: integer[]?, offset: integer?, writable: boolean?, create: boolean? }? shape:
--- { n } or { rows, columns }; default: as many elements as fit. create: makes the file of zeroes, in the place of
--- an older one, with numpy's header if it is called *.npy; needs type and shape, and can be written
---@return braid.Array|braid.ArrayView|nil
---@return braid.Error? err kind "system": it cannot be mapped, or has fewer elements
function M.mmap(path, opts)
  if type(path) ~= "string" then
    errors.misuse(1, "bad argument 'path' to 'mmap' (a string expected, got %s)", errors.described(path))
  end
  errors.check_options(1, "mmap", opts, options)
  local wanted, layout, flat, err
  wanted, err = prepare(path, opts or {})
  if not wanted then return nil, err end
  layout, err = layout_of(path, wanted)
  if not layout then return nil, err end
  local count = layout.rows * (layout.columns or 1)
  if count == 0 then
    flat = core.array_new(layout.type, 0)
  else
    flat, err = core.array_map(path, layout.type, layout.start, count, wanted.writable or false)
  end
  if not flat then return nil, err end
  return npy.shaped(flat, layout)
end

---Waits until what was written into a mapped array is on the disk. Does nothing for other arrays. Suspends.
---@param array braid.Array|braid.ArrayView
---@return boolean? ok
---@return braid.Error? err kind "system"
function M.sync(array) return core.storage_sync(view.is(array) and array.array or array) end

return M
