-- SPDX-License-Identifier: MIT
-- The lists that gather, map and similar functions get: items by number and items by name, as one row; and the results.
local core = require "braid.core"
local errors = require "braid.errors"

local M = {}

---@class braid.Row
---@field items table all items: first those of the list, then the named ones
---@field n integer the number of all items
---@field count integer the number of items of the list
---@field names any[]? the keys of the named items; nil: there are none

local function refuse(what, name, list)
  errors.misuse(3, "bad argument '%s' to '%s' (a list expected, got %s)%s", name, what, errors.described(list),
    type(list) == "function" and (": write braid.%s { f, g }"):format(what) or "")
end

-- Order of the keys: numbers, then strings, then everything else.
local function comes_first(a, b)
  local kind, other = type(a), type(b)
  if kind ~= other then return kind == "number" or kind == "string" and other ~= "number" end
  return (kind == "number" or kind == "string") and a < b
end

-- Returns the length of the list, and the keys of all other items. A number in the field `n` is the length, as from
-- table.pack, if no other item has a name. A class with __len decides its items itself.
local function survey(what, name, list)
  local meta = getmetatable(list)
  local marked = meta == core.List
  if not marked and type(meta) == "table" and meta.__len then return #list end
  local n = list.n
  local names, far = core.list_others(list, marked and n or #list)
  if type(n) == "number" and not names and not marked then
    if math.type(n) == "integer" and n >= 0 then return n end
    errors.misuse(3, "bad argument '%s' to '%s' (its n is to be an integer, not negative, and is %s)", name, what, n)
  end
  names = names or {}
  if far then table.move(far, 1, #far, #names + 1, names) end
  if not marked and rawget(list, "n") ~= nil then names[#names + 1] = "n" end
  return marked and n or #list, names[1] ~= nil and names or nil
end

---All items of the list in one row.
---@param what string the function, for the message
---@param name string the argument
---@param list table
---@return braid.Row
function M.row(what, name, list)
  if type(list) ~= "table" or getmetatable(list) == core.Task then refuse(what, name, list) end
  local count, names = survey(what, name, list)
  if not names then return { items = list, n = count, count = count } end
  table.sort(names, comes_first)
  local items = table.move(list, 1, count, 1, {})
  for i, key in ipairs(names) do items[count + i] = list[key] end
  return { items = items, n = count + #names, count = count, names = names }
end

---The elements of a list. Raises for a named item.
---@param what string the function, for the message
---@param name string the argument
---@param list table
---@return table items
---@return integer n
function M.list(what, name, list)
  local row = M.row(what, name, list)
  if row.names then
    errors.misuse(2, "bad argument '%s' to '%s' (a list expected, of which %s is no element)", name, what,
      M.place(row, name, row.n))
  end
  return list, row.n
end

---The key of the item at this place of the row.
---@param row braid.Row
---@param i integer
---@return any
function M.key(row, i)
  return i <= row.count and i or row.names[i - row.count]
end

---The name of an item for a message: "list[3]", "list.user".
---@param row braid.Row
---@param name string the argument
---@param i integer
---@return string
function M.place(row, name, i)
  local key = M.key(row, i)
  return type(key) == "string" and ("%s.%s"):format(name, key) or ("%s[%s]"):format(name, errors.text(key))
end

---Maps values by place to values by key.
---@param row braid.Row
---@param values table
---@return table
function M.by_key(row, values)
  if not row.names then return values end
  local keyed = table.move(values, 1, row.count, 1, {})
  for i, key in ipairs(row.names) do keyed[key] = values[row.count + i] end
  return keyed
end

---The results of all items: a list (see llist.h) if there are items of the list, with named results under their names.
---@param row braid.Row
---@param values table by the places of their items
---@return table
function M.results(row, values)
  local results, has_n = M.by_key(row, values), false
  for _, key in ipairs(row.names or {}) do has_n = has_n or key == "n" end
  if (row.names and row.count == 0) or has_n then return results end
  if core.list_has_hole(results, row.count) then results.n = row.count end
  return setmetatable(results, core.List)
end

return M
