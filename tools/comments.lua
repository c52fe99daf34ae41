-- SPDX-License-Identifier: MIT
-- Reads LuaCATS comments: what a Lua file says of its functions and classes.
local M = {}

---@class comments.Entry a parameter, a result or a field
---@field name string?
---@field type string
---@field text string
---@field optional boolean?

---@class comments.Item a function or method
---@field name string
---@field text string
---@field parameters comments.Entry[]
---@field results comments.Entry[]
---@field types string all that its types name
---@field lines string[] the comment as it stands, without the dashes
---@field is_method boolean whether it is called with a colon

-- A type may hold blanks, inside brackets or after `fun(...):`. Returns the type and what follows it.
local function split_type(text)
  local type, rest = "", text
  repeat
    local piece, tail = rest:match("^([^%s(){}<>]*)(.*)$")
    local group = tail:match("^%b()") or tail:match("^%b{}") or tail:match("^%b<>")
    if group then
      piece, tail = piece .. group, tail:sub(#group + 1)
      if tail:find("^:%s") then piece, tail = piece .. ": ", tail:gsub("^:%s+", "") end
    end
    type, rest = type .. piece, tail
  until not group
  return type, (rest:gsub("^%s+", ""))
end

local function may_be_nil(type) return type:find("%?$") ~= nil or type:find("|nil$") ~= nil end

-- "name? type text"
local function named_entry(words)
  local name, rest = words:match("^(%S+)%s*(.*)$")
  if name == "private" or name == "protected" then return named_entry(rest) end
  local type, text = split_type(rest)
  local bare = name:gsub("%?$", "")
  return { name = bare, type = type, text = text, optional = bare ~= name or may_be_nil(type) }
end

-- "type name text": the name of a result is told as a part of its text.
local function result_entry(words)
  local type, text = split_type(words)
  return { type = type, text = text }
end

-- The next line of a tag, on which its type may end.
local function continue_entry(entry, line)
  entry.text = (entry.text .. " " .. line:gsub("^%s+", "")):gsub("^%s+", "")
  if entry.type ~= "" then return end
  entry.type, entry.text = split_type(entry.text)
  entry.optional = entry.optional or may_be_nil(entry.type)
end

-- A comment: its lines without the dashes.
local function parse(lines)
  local block = { text = {}, parameters = {}, results = {}, fields = {} }
  local last
  for _, line in ipairs(lines) do
    local tag, words = line:match("^@(%a+)%s*(.*)$")
    if tag == "param" then
      last = named_entry(words)
      table.insert(block.parameters, last)
    elseif tag == "return" then
      last = result_entry(words)
      table.insert(block.results, last)
    elseif tag == "field" then
      last = named_entry(words)
      table.insert(block.fields, last)
    elseif tag == "class" then
      block.class, block.parent = words:match("^([%w_.]+):?%s*([%w_.]*)")
    elseif tag == "alias" then
      block.alias, last = words, nil
    elseif tag then
      last = nil
    elseif last then
      continue_entry(last, line)
    else
      table.insert(block.text, (line:gsub("^ ", "")))
    end
  end
  block.text = table.concat(block.text, "\n")
  return block
end

local function types_of(...)
  local words = {}
  for _, list in ipairs { ... } do
    for _, entry in ipairs(list) do words[#words + 1] = entry.type end
  end
  return table.concat(words, " ")
end

-- The name that a line of code after a comment defines, whose it is ("Queue", "put"), and what stands between: "." or
-- ":", or "" where a value is given to it.
local function defined(code)
  local owner, sign, name = code:match("^function ([%w_]+)([.:])([%w_]+)%s*%(")
  if not owner then owner, sign, name = code:match("^([%w_]+)%.()([%w_]+)%s*=") end
  return owner, name, sign
end

-- The comments of a file, each with the line of code behind it ("" when there is none).
local function blocks(file)
  local list, lines = {}, {}
  for line in io.lines(file) do
    local comment = line:match("^%s*%-%-%-(.*)$")
    if comment then
      lines[#lines + 1] = comment
    else
      if #lines > 0 then list[#list + 1] = { lines = lines, code = line } end
      lines = {}
    end
  end
  return list
end

---What a file says of its module (`text`), of the module's functions (`items`), of its classes, and of its aliases (the
---lines of each).
---@param file string
---@return { text: string, items: comments.Item[], classes: table[], aliases: string[][] }
function M.read(file)
  local found, owners = { text = "", items = {}, classes = {}, aliases = {} }, {}
  for _, raw in ipairs(blocks(file)) do
    local block = parse(raw.lines)
    local owner, name, sign = defined(raw.code)
    if block.alias then table.insert(found.aliases, raw.lines) end
    if block.class then
      local class = { name = block.class, parent = block.parent ~= "" and block.parent or nil, text = block.text,
        fields = block.fields, items = {}, lines = raw.lines }
      local variables = raw.code:match("^local ([%w_, ]+)=") or ""
      if not variables:find "^M%s*$" then table.insert(found.classes, class) end
      for variable in variables:gmatch "[%w_]+" do owners[variable] = variable ~= "M" and class or nil end
    elseif name and not name:find "^_" then
      local item = { name = name, text = block.text, parameters = block.parameters, results = block.results,
        lines = raw.lines, is_method = sign == ":" or sign ~= "." and owners[owner] ~= nil }
      item.types = types_of(block.parameters, block.results)
      table.insert(owners[owner] and owners[owner].items or found.items, item)
    elseif raw.code == "" and found.text == "" and #block.parameters == 0 then
      found.text = block.text
    end
  end
  return found
end

---The classes and aliases that a file defines: by name, the lines of each comment.
---@param file string
---@return table<string, string[]>
function M.types(file)
  local found = {}
  for _, raw in ipairs(blocks(file)) do
    local block = parse(raw.lines)
    local name = block.class or block.alias and block.alias:match "^[%w_.]+"
    if name then found[name] = raw.lines end
  end
  return found
end

return M
