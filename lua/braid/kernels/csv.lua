-- SPDX-License-Identifier: MIT
--- Tables in text: columns of numbers are read on all cores into arrays.

local core = require "braid.core"
local errors = require "braid.errors"
local make_array = require "braid.sync.array".array
local view = require "braid.sync.view"

local M = {}

local read_options = { separator = "string", header = "boolean", columns = "table", types = "table", skip = "integer" }

-- The bytes of a file: the file itself.
local function read_text(path)
  local size, err = core.storage_size(path)
  if not size then return nil, err end
  if size == 0 then return core.array_new("u8", 0) end
  return core.array_map(path, "u8", 0, size, false)
end

-- Where line `skip` + 1 begins.
local function skip_lines(text, skip)
  local at = 1
  for _ = 1, skip do
    while at <= #text and text[at] ~= 10 do at = at + 1 end
    at = math.min(at + 1, #text + 1)
  end
  return at
end

-- Whether the text begins with a mark of UTF-8's order, which some programs write.
local function after_mark(text, at)
  if #text >= at + 2 and text[at] == 0xEF and text[at + 1] == 0xBB and text[at + 2] == 0xBF then return at + 3 end
  return at
end

local function wanted_columns(opts, names)
  if not opts.columns then return nil end
  local wanted, known = {}, {}
  for _, name in ipairs(names) do known[name] = true end
  for _, name in ipairs(opts.columns) do
    local key = math.type(name) == "integer" and names[name] or name
    if not known[key] then
      local nearest = type(key) == "string" and errors.nearest(key, known)
      errors.misuse(2, "bad option 'columns' to 'read_csv' (the file has no column %s%s)", errors.text(name),
        nearest and (": did you mean '%s'?"):format(nearest) or "")
    end
    wanted[key] = true
  end
  return wanted
end

local letters = { f64 = "f", i64 = "i", text = "t" }

-- The column as an array or a list, from what was read and the type that is asked for.
local function column_of(table_, number, kind, numbers, integers, asked, path, name)
  local want = asked or (kind == "i" and "i64" or kind == "f" and "f64" or "text")
  if want == "text" then return core.csv_texts(table_, number) end
  if kind == "t" or (kind == "f" and want ~= "f64" and want ~= "f32") then
    local whole = want ~= "f64" and want ~= "f32"
    local record, line, text = core.csv_find(table_, number, whole)
    return nil, errors.new("system", ("%s:%d: column '%s' has %q, which is no %s"):format(path, line or 1, name,
      text or "", whole and "integer" or "number"), { path = path, column = name, record = record, line = line })
  end
  local from = kind == "i" and want ~= "f64" and integers or numbers
  return from:type() == want and from or make_array(want, from)
end

-- A reader for one text: the records behind the header, and the names.
local function open_table(text, first, separator, header)
  local head = core.csv_texts(core.csv_new(text, first, separator, 1), 0)
  if #head == 0 then return nil end
  local names = {}
  for at, name in ipairs(head) do names[at] = header and name or ("column %d"):format(at) end
  local after = first
  if header then
    local quoted = false
    while after <= #text and (text[after] ~= 10 or quoted) do
      if text[after] == 34 then quoted = not quoted end
      after = after + 1
    end
    after = math.min(after + 1, #text + 1)
  end
  return core.csv_new(text, after, separator, #head), names
end

local function read_table(path, opts)
  local text, why = read_text(path)
  if not text then return nil, why end
  local first = after_mark(text, skip_lines(text, opts.skip or 0))
  local csv, names = open_table(text, first, opts.separator or ",", opts.header ~= false)
  if not csv then return { names = {} } end
  local wanted = wanted_columns(opts, names)
  local records, list = core.csv_count(csv), {}
  for at, name in ipairs(names) do
    local take = (not wanted or wanted[name]) and (opts.types or {})[name] ~= "text"
    list[2 * at - 1] = take and core.array_new("f64", records)
    list[2 * at] = take and core.array_new("i64", records)
  end
  local kinds, record, fields, line = core.csv_read(csv, table.unpack(list, 1, 2 * #names))
  if not kinds then
    return nil, errors.new("system", ("%s:%d: record %d has %d fields, the table has %d columns"):format(path, line,
      record, fields, #names), { path = path, record = record, line = line })
  end
  local columns = { names = names }
  for at, name in ipairs(names) do
    if not wanted or wanted[name] then
      local asked = (opts.types or {})[name]
      if asked and not letters[asked] then core.array_new(asked, 0) end
      local column, err = column_of(csv, at, list[2 * at - 1] and kinds:sub(at, at) or "t", list[2 * at - 1],
        list[2 * at],
        asked, path, name)
      if not column then return nil, err end
      columns[name] = column
    end
  end
  return columns
end

---Reads a table from a file of text (RFC 4180). A column of integers becomes an i64 array, a column of numbers f64 (a
---missing number is NaN), any other a list of texts. Suspends.
---@param path string
---@param opts { separator: string?, header: boolean?, columns: (string|integer)[]?, types: table<string, string>?,
--- skip: integer? }?
--- header: the first line has names; default true, else columns are called "column 1" and so on. columns: only these.
--- types: "f64", "i32" ... or "text" by name. skip: lines before the table
---@return table<string, braid.Array|string[]>? columns by name; `columns.names` is the list of all names
---@return braid.Error? err kind "system"; `line` is the line in the file, `record` counts the records behind the
--- header, from 1
function M.read_csv(path, opts)
  errors.check_options(1, "read_csv", opts, read_options)
  local ok, columns, err = errors.try(read_table, path, opts or {})
  if ok then return columns, err end
  if errors.is_error(columns, "system") then return nil, columns end -- the file was truncated meanwhile
  core.rethrow(columns, err)
end

local write_options = { separator = "string", header = "boolean", names = "table" }

-- A field as text: in quotes where it has a separator, a quote, or a blank.
local function field_of(value, separator)
  if not value:find('[%s"' .. separator:gsub("%W", "%%%0") .. "]") then return value end
  return '"' .. value:gsub('"', '""') .. '"'
end

local function number_text(value)
  if value ~= value then return "" end
  if math.type(value) == "integer" then return tostring(value) end
  local short = ("%.15g"):format(value)
  return tonumber(short) == value and short or ("%.17g"):format(value)
end

---Writes columns as a table in text, with a line of names. Suspends for short moments between lines.
---@param path string
---@param columns table<string, braid.Array|any[]>
---@param opts { separator: string?, header: boolean?, names: string[]? }? names: the order of the columns
---@return boolean? ok
---@return braid.Error? err
function M.write_csv(path, columns, opts)
  errors.check_options(1, "write_csv", opts, write_options)
  opts = opts or {}
  local names, separator = opts.names or columns.names, opts.separator or ","
  if not names then
    names = {}
    for name in pairs(columns) do names[#names + 1] = name end
    table.sort(names)
  end
  local lists, count = {}, nil
  for at, name in ipairs(names) do
    local column = columns[name]
    if column == nil then errors.misuse(1, "bad argument 'columns' to 'write_csv' (it has no '%s')", name) end
    lists[at] = (getmetatable(column) == core.Array or view.is(column)) and column:totable() or column
    count = count or #lists[at]
    if #lists[at] ~= count then
      errors.misuse(1, "bad argument 'columns' to 'write_csv' ('%s' has %d elements, the first column %d)", name,
        #lists[at], count)
    end
  end
  local lines, fields = {}, {}
  if opts.header ~= false then
    for at, name in ipairs(names) do fields[at] = field_of(name, separator) end
    lines[1] = table.concat(fields, separator)
  end
  for i = 1, count or 0 do
    for at, list in ipairs(lists) do
      local value = list[i]
      fields[at] = math.type(value) and number_text(value) or field_of(tostring(value), separator)
    end
    lines[#lines + 1] = table.concat(fields, separator, 1, #lists)
  end
  lines[#lines + 1] = ""
  local document = require "braid.document"
  return document.save(path, table.concat(lines, "\n"))
end

return M
