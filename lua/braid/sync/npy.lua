-- SPDX-License-Identifier: MIT
--- Arrays in files of numpy's formats: `.npy` has one array; `.npz` is a zip archive of such files. The format is that
--- of numpy's documentation ("NPY format", version 1.0 and 2.0).

local core = require "braid.core"
local errors = require "braid.errors"
local view = require "braid.sync.view"

local M = {}

local descriptions = { f64 = "<f8", f32 = "<f4", i64 = "<i8", i32 = "<i4", i16 = "<i2", i8 = "|i1", u64 = "<u8",
  u32 = "<u4", u16 = "<u2", u8 = "|u1" }
local types = { ["|b1"] = "u8" }
for type, description in pairs(descriptions) do types[description] = type end

---The bytes of an element.
---@param type string
---@return integer
function M.width(type) return tonumber(type:match "%d+") // 8 end

local function refuse(path, why) return nil, errors.new("system", ("%s: %s"):format(path, why), { path = path }) end

-- ---- reading ------------------------------------------------------------------------------------------------------

-- Reads `size` bytes of a file; nil and the reason when they are not there.
local function read_bytes(path, offset, size)
  local bytes = core.array_new("u8", size)
  local ok, err = core.storage_move(path, offset, bytes)
  if not ok then return nil, err end
  return bytes:tostring()
end

-- Where the bytes of an array are. bytes(offset, size) -> text | nil, err; fill(offset, array) -> true | nil, err
---@class braid.sync.npy.Source

---The bytes of a file from its byte `at` on.
---@return braid.sync.npy.Source
function M.stored(path, at)
  return {
    bytes = function(offset, size) return read_bytes(path, at + offset, size) end,
    fill = function(offset, array) return core.storage_move(path, at + offset, array) end,
  }
end

-- Bytes that are compressed.
local function deflated(path, at, packed_size, size)
  local packed = core.array_new("u8", packed_size)
  local ok, err = core.storage_move(path, at, packed)
  if not ok then return nil, err end
  local function fill(offset, array)
    local done, why = core.storage_inflate(packed, offset, array, offset + #array * M.width(array:type()) == size)
    if done then return true end
    return refuse(path, why)
  end
  local function bytes(offset, count)
    local array = core.array_new("u8", count)
    local done, why = fill(offset, array)
    if not done then return nil, why end
    return array:tostring()
  end
  return { bytes = bytes, fill = fill }
end

---Reads the header of an array, whose source has `most` bytes.
---@param path string for messages
---@param source braid.sync.npy.Source
---@param most integer
---@return { type: string, rows: integer, columns: integer?, fortran: boolean, start: integer }|nil header columns nil:
--- one dimension; fortran: columns come first; start: where the elements begin
---@return braid.Error? err
function M.read_header(path, source, most)
  if most < 10 then return refuse(path, "no array of numpy") end
  local head, err = source.bytes(0, math.min(most, 12))
  if not head then return nil, err end
  local major = head:byte(7)
  if head:sub(1, 6) ~= "\x93NUMPY" or major < 1 or major > 3 then return refuse(path, "no array of numpy") end
  local start = major == 1 and 10 or 12
  local size = major == 1 and ("<I2"):unpack(head, 9) or #head >= 12 and ("<I4"):unpack(head, 9) or math.huge
  if start + size > most or size > 65536 then return refuse(path, "a header of numpy that is cut or too long") end
  local text
  text, err = source.bytes(start, size)
  if not text then return nil, err end
  local description = text:match "'descr'%s*:%s*'([^']*)'"
  local shape = text:match "'shape'%s*:%s*%(([%d%s,]*)%)"
  local order = text:match "'fortran_order'%s*:%s*(%a+)"
  local type = types[description or ""]
  if not type then
    return refuse(path, ("elements of the type %s cannot be read"):format(description or "of records"))
  end
  if not shape or not order then return refuse(path, "a header of numpy that is not sound") end
  local sizes = {}
  for number in shape:gmatch "%d+" do sizes[#sizes + 1] = math.tointeger(tonumber(number)) end
  if #sizes > 2 then return refuse(path, ("an array of %d dimensions: at most 2 can be read"):format(#sizes)) end
  local header = { type = type, rows = sizes[1] or 1, columns = sizes[2], fortran = order == "True",
    start = start + size }
  local count, width = header.rows * (header.columns or 1), M.width(type)
  local whole = header.rows <= most and (header.columns or 0) <= most -- so that the product cannot wrap
  if not whole or count > (most - start - size) // width then
    return refuse(path, "it has fewer elements than its header says")
  end
  return header
end

---The elements of a file as the array that its header tells.
---@param flat braid.Array
---@param header table
---@return braid.Array|braid.ArrayView
function M.shaped(flat, header)
  if not header.columns then return flat end
  if header.fortran then return view.matrix(flat, header.columns, header.rows):transpose() end
  return view.matrix(flat, header.rows, header.columns)
end

-- Reads an array. `crc`: the checksum of all its bytes; nil: it is not known.
local function read_array(path, source, most, crc)
  local header, err = M.read_header(path, source, most)
  if not header then return nil, err end
  local flat = core.array_new(header.type, header.rows * (header.columns or 1))
  local ok
  ok, err = source.fill(header.start, flat)
  if not ok then return nil, err end
  if crc then
    local head
    head, err = source.bytes(0, header.start)
    if not head then return nil, err end
    if core.storage_crc(head, flat) ~= crc then return refuse(path, "an array whose checksum is wrong") end
  end
  return M.shaped(flat, header)
end

local END, ENTRY = "PK\5\6", "PK\1\2"

local STORED, DEFLATED = 0, 8 -- the methods of compression
local MOST_RATIO = 1032 -- deflate cannot compress more than that

-- The entries of a zip archive: { name, at (of the content), packed (its size there), size, crc, compressed }.
local function read_directory(path, size)
  local tail_size = math.min(size, 65557)
  local tail, err = read_bytes(path, size - tail_size, tail_size)
  if not tail then return nil, err end
  local place
  for at in tail:gmatch "()PK\5\6" do place = at end
  if not place or place + 21 > #tail then return refuse(path, "no archive of numpy") end
  local _, _, _, _, count, length, offset = ("<I4I2I2I2I2I4I4"):unpack(tail, place)
  if offset + length > size then return refuse(path, "an archive that is cut, or above 4 GiB") end
  local directory
  directory, err = read_bytes(path, offset, length)
  if not directory then return nil, err end
  local entries, at = {}, 1
  for _ = 1, count do
    if directory:sub(at, at + 3) ~= ENTRY or at + 45 > #directory then return refuse(path,
      "an archive that is not sound") end
    local method, _, crc, packed, real, name_size, extra, comment = ("<I2I4I4I4I4I2I2I2"):unpack(directory, at + 10)
    local start = ("<I4"):unpack(directory, at + 42)
    local name = directory:sub(at + 46, at + 45 + name_size)
    if method ~= DEFLATED and (method ~= STORED or packed ~= real) then
      return refuse(path, "it is compressed in a way that numpy does not use")
    end
    if real > packed * MOST_RATIO + 64 then return refuse(path, "an archive that is not sound") end
    if start + 30 > size then return refuse(path, "an archive that is not sound") end
    local head
    head, err = read_bytes(path, start, 30)
    if not head then return nil, err end
    local skip = 30 + ("<I2"):unpack(head, 27) + ("<I2"):unpack(head, 29)
    if start + skip + packed > size then return refuse(path, "an archive that is not sound") end
    entries[#entries + 1] = { name = name, at = start + skip, packed = packed, size = real, crc = crc,
      compressed = method == DEFLATED }
    at = at + 46 + name_size + extra + comment
  end
  return entries
end

---Reads an array from a `.npy` file, or a table of arrays by name from a `.npz` archive. Suspends.
---@param path string
---@return braid.Array|braid.ArrayView|table|nil
---@return braid.Error? err kind "system": it cannot be read, or is not of numpy's format
function M.load(path)
  if type(path) ~= "string" then
    errors.misuse(1, "bad argument 'path' to 'load' (a string expected, got %s)", errors.described(path))
  end
  local size, err = core.storage_size(path)
  if not size then return nil, err end
  if not path:find "%.npz$" then return read_array(path, M.stored(path, 0), size) end
  local entries
  entries, err = read_directory(path, size)
  if not entries then return nil, err end
  local arrays = {}
  for _, entry in ipairs(entries) do
    local source, array = M.stored(path, entry.at), nil
    if entry.compressed then source, err = deflated(path, entry.at, entry.packed, entry.size) end
    if source then array, err = read_array(path, source, entry.size, entry.crc) end
    if not array then return nil, err end
    arrays[entry.name:gsub("%.npy$", "")] = array
  end
  return arrays
end

-- ---- writing ------------------------------------------------------------------------------------------------------

---The header of an array; its length is a multiple of 64.
---@param type string
---@param shape integer[]
---@return string
function M.header(type, shape)
  local sizes = #shape == 1 and ("%d,"):format(shape[1]) or ("%d, %d"):format(shape[1], shape[2])
  local text = ("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }"):format(descriptions[type], sizes)
  local padding = -(10 + #text + 1) % 64
  return "\x93NUMPY\1\0" .. ("<I2"):pack(#text + padding + 1) .. text .. (" "):rep(padding) .. "\n"
end

local function header_of(array) return M.header(array:type(), array.shape) end

local function flat_of(array) return view.is(array) and array:flat() or array end

local function bytes_of(text) return core.array_new("u8", #text):set(text) end

-- Writes pieces (texts and arrays) one after the other into a new file, and puts it in the place of `path`.
local function write_pieces(path, pieces)
  local temporary, at = path .. ".part", 0
  os.remove(temporary)
  for _, piece in ipairs(pieces) do
    local array = type(piece) == "string" and bytes_of(piece) or piece
    local ok, err = core.storage_move(temporary, at, array, true)
    if not ok then
      os.remove(temporary)
      return nil, err
    end
    at = at + #array * M.width(array:type())
  end
  local renamed, why = os.rename(temporary, path)
  if renamed then return true end
  os.remove(temporary)
  return refuse(path, why)
end

local function size_of(array) return #array * M.width(array:type()) end

-- A zip archive of arrays: its pieces.
local function archive_of(path, arrays, compressed)
  local names, pieces, directory, offset = {}, {}, {}, 0
  for name in pairs(arrays) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local header, flat = header_of(arrays[name]), flat_of(arrays[name])
    local size, file = #header + size_of(flat), name .. ".npy"
    local content, method, packed = { header, flat }, STORED, size
    if compressed then
      local array, err = core.storage_deflate(header, flat)
      if not array then return nil, err end
      content, method, packed = { array }, DEFLATED, #array
    end
    if offset + math.max(size, packed) > 0xFFFFFFFF then
      return refuse(path, "above 4 GiB: save the arrays as files of their own")
    end
    local crc = core.storage_crc(header, flat)
    local about = ("<I2I2I2I2I2I4I4I4I2I2"):pack(20, 0, method, 0, 0x21, crc, packed, size, #file, 0)
    local head = "PK\3\4" .. about .. file
    pieces[#pieces + 1] = head
    table.move(content, 1, #content, #pieces + 1, pieces)
    directory[#directory + 1] = ENTRY .. ("<I2"):pack(20) .. about .. ("<I2I2I2I4I4"):pack(0, 0, 0, 0, offset) .. file
    offset = offset + #head + packed
  end
  local list = table.concat(directory)
  pieces[#pieces + 1] = list .. END .. ("<I2I2I2I2I4I4I2"):pack(0, 0, #names, #names, #list, offset, 0)
  return pieces
end

local function is_array(value) return getmetatable(value) == core.Array or view.is(value) end

---Writes an array as `.npy`, or a table of arrays by name as a `.npz` archive. The file is complete, or the old one.
---Suspends.
---@param path string
---@param what braid.Array|braid.ArrayView|table<string, braid.Array|braid.ArrayView>
---@param opts { compressed: boolean? }? compressed: of an archive, as numpy.savez_compressed does
---@return boolean? ok
---@return braid.Error? err
function M.save(path, what, opts)
  if type(path) ~= "string" then
    errors.misuse(1, "bad argument 'path' to 'save' (a string expected, got %s)", errors.described(path))
  end
  errors.check_options(1, "save", opts, { compressed = "boolean" })
  local compressed = opts and opts.compressed
  if is_array(what) and compressed then
    errors.misuse(1, "the option 'compressed' of 'save' is for a table of arrays by name")
  end
  if is_array(what) then return write_pieces(path, { header_of(what), flat_of(what) }) end
  if type(what) ~= "table" or next(what) == nil then
    errors.misuse(1, "bad argument 'array' to 'save' (an array, or a table of arrays by name, expected, got %s)",
      errors.described(what))
  end
  for name, array in pairs(what) do
    if type(name) ~= "string" or not is_array(array) then
      errors.misuse(1, "bad argument 'array' to 'save' (arrays by name expected, got %s)", errors.described(array))
    end
  end
  local pieces, err = archive_of(path, what, compressed)
  if not pieces then return nil, err end
  return write_pieces(path, pieces)
end

return M
