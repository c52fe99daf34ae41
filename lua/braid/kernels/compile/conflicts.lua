-- SPDX-License-Identifier: MIT
--- Iterations run at the same time, so none may write an element that another one touches. This finds what the indices
--- show: a write whose place does not depend on an index of the kernel, and a write and another access of the same
--- array whose places are a fixed number of iterations apart. What the indices do not show is not refused.
---
--- The place of an access is a list of linear forms, one for each dimension: { constant, [symbol] = factor }.

local M = {}

-- ---- forms --------------------------------------------------------------------------------------------------------

local form_of

local function add(a, b, sign)
  local sum = { constant = a.constant + sign * b.constant, factors = {} }
  for symbol, factor in pairs(a.factors) do sum.factors[symbol] = factor end
  for symbol, factor in pairs(b.factors) do
    local total = (sum.factors[symbol] or 0) + sign * factor
    sum.factors[symbol] = total ~= 0 and total or nil
  end
  return sum
end

local function scaled(a, by)
  local product = { constant = a.constant * by, factors = {} }
  if by == 0 then return product end
  for symbol, factor in pairs(a.factors) do product.factors[symbol] = factor * by end
  return product
end

local function is_constant(form) return next(form.factors) == nil end

local function symbol_form(symbol)
  if symbol.assigned then return nil end
  if symbol.kind == "local" and not symbol.loop then return symbol.value and form_of(symbol.value) end
  return { constant = 0, factors = { [symbol] = 1 } }
end

-- The linear form of an integer expression; nil: it has none.
function form_of(node)
  if node.type ~= "integer" then return nil end
  if node.tag == "Paren" then return form_of(node.value) end
  if node.tag == "Number" then return { constant = node.value, factors = {} } end
  if node.tag == "Name" then return symbol_form(node.symbol) end
  if node.tag == "Unary" and node.op == "-" then
    local inner = form_of(node.value)
    return inner and scaled(inner, -1)
  end
  if node.tag ~= "Binary" or not (node.op == "+" or node.op == "-" or node.op == "*") then return nil end
  local a, b = form_of(node.left), form_of(node.right)
  if not a or not b then return nil end
  if node.op ~= "*" then return add(a, b, node.op == "+" and 1 or -1) end
  if is_constant(b) then return scaled(a, b.constant) end
  return is_constant(a) and scaled(b, a.constant) or nil
end

-- ---- accesses -----------------------------------------------------------------------------------------------------

-- The argument and the keys of an access of an element, from the outside in.
local function place_of(node)
  if node.tag == "Paren" then return place_of(node.value) end
  if node.tag == "Name" then
    local symbol = node.symbol
    if symbol.kind ~= "local" then return symbol, {} end
    if not symbol.value or symbol.type.kind ~= "array" then return nil end
    return place_of(symbol.value)
  end
  local symbol, keys = place_of(node.object)
  if not symbol then return nil end
  keys[#keys + 1] = node.key
  return symbol, keys
end

local function note(found, node, written)
  local symbol, keys = place_of(node)
  if not symbol then return end
  local access = { symbol = symbol, written = written, node = node, known = true }
  for at, key in ipairs(keys) do
    access[at] = form_of(key)
    if not access[at] then access.known = false end
  end
  found[#found + 1] = access
end

-- An array that a called kernel gets: its places are unknown.
local function note_call(found, node)
  if not node.callee or node.callee.kind ~= "kernel" then return end
  for at, arg in ipairs(node.args) do
    if type(arg.type) == "table" and arg.type.kind == "array" then
      local symbol = place_of(arg)
      local written = node.callee.instance.writes[at]
      if symbol then found[#found + 1] = { symbol = symbol, written = written, node = arg, known = false } end
    end
  end
  for _, capture in ipairs(node.callee.instance.captures) do
    if type(capture.type) == "table" then
      found[#found + 1] = { capture = capture, written = capture.written, node = node, known = false }
    end
  end
end

local visit

local function visit_all(found, list)
  for _, each in ipairs(list) do visit(found, each) end
end

local parts = { "value", "left", "right", "test", "from", "to", "step", "object", "key" }
local lists = { "values", "args", "tests", "body", "last" }

function visit(found, node)
  if node.tag == "Set" then
    for _, target in ipairs(node.targets) do
      if target.tag == "Index" then
        note(found, target, true)
        visit(found, target.object)
        visit(found, target.key)
      end
    end
    return visit_all(found, node.values)
  end
  if node.tag == "Index" and type(node.type) ~= "table" then note(found, node, false) end
  if node.tag == "Call" then note_call(found, node) end
  for _, name in ipairs(parts) do
    local part = node[name]
    if type(part) == "table" and part.tag then visit(found, part) end
  end
  for _, name in ipairs(lists) do
    if type(node[name]) == "table" and not node[name].tag then visit_all(found, node[name]) end
  end
  for _, block in ipairs(node.blocks or {}) do visit_all(found, block) end
end

-- ---- conflicts ----------------------------------------------------------------------------------------------------

-- Whether a form may change with an index: directly, or by the limits of a loop.
local function depends(form, index, seen)
  if form.factors[index] then return true end
  for symbol in pairs(form.factors) do
    local loop = symbol.loop
    if loop and not seen[symbol] then
      seen[symbol] = true
      for _, limit in ipairs { loop.from, loop.to, loop.step } do
        local inner = form_of(limit)
        if not inner or depends(inner, index, seen) then return true end
      end
    end
  end
  return false
end

local function find_fixed(access, indices, conflicts)
  if not access.written or not access.known then return end
  for at, index in ipairs(indices) do
    local varies = false
    for _, form in ipairs(access) do varies = varies or depends(form, index, {}) end
    if not varies then
      local apart = { 0, 0 }
      apart[at] = 1
      conflicts[#conflicts + 1] = { line = access.node.line, column = access.node.column, apart = apart,
        message = ("all iterations write the same element of '%s': use a reduction, or an index"):format(
          access.symbol.name) }
    end
  end
end

-- How many iterations two places are apart in each index; nil: not a fixed number, or never.
local function distance(a, b, indices)
  local apart = {}
  for at, form in ipairs(a) do
    local difference = add(form, b[at], -1)
    if not is_constant(difference) then return nil end
    local index, factor
    for symbol, by in pairs(form.factors) do
      if symbol.loop then return nil end
      for n, each in ipairs(indices) do
        if each == symbol then
          if index then return nil end
          index, factor = n, by
        end
      end
    end
    if not index then
      if difference.constant ~= 0 then return nil end
    elseif difference.constant % factor ~= 0 then
      return nil
    else
      local steps = difference.constant // factor
      if apart[index] and apart[index] ~= steps then return nil end
      apart[index] = steps
    end
  end
  local i, j = math.abs(apart[1] or 0), math.abs(apart[2] or 0)
  if i == 0 and j == 0 then return nil end
  return { i, j }
end

local function find_pairs(accesses, indices, conflicts)
  for _, write in ipairs(accesses) do
    for _, other in ipairs(accesses) do
      local both = write.written and write.known and other.known and write.symbol == other.symbol
      local apart = both and #write == #other and distance(write, other, indices)
      if apart then
        conflicts[#conflicts + 1] = { line = other.node.line, column = other.node.column, apart = apart,
          message = ("this element of '%s' is %s by another iteration: write into a second array"):format(
            write.symbol.name, other.written and "written" or "also written") }
      end
    end
  end
end

-- A text for the place of all accesses of an array, if they are all at one place that differs between iterations.
local function own_place(accesses, symbol, indices)
  local own
  for _, access in ipairs(accesses) do
    if access.symbol == symbol then
      if not access.known then return nil end
      local texts = {}
      for at, form in ipairs(access) do
        local text = { tostring(form.constant) }
        for n, index in ipairs(indices) do
          text[#text + 1] = tostring(form.factors[index] or 0)
          if form.factors[index] then texts["index" .. n] = true end
        end
        for other in pairs(form.factors) do
          if other.kind ~= "index" then return nil end
        end
        texts[at] = table.concat(text, " ")
      end
      for n in ipairs(indices) do
        if not texts["index" .. n] then return nil end
      end
      local place = table.concat(texts, ";")
      if own and own ~= place then return nil end
      own = place
    end
  end
  return own
end

---Which arrays a function writes: notes it in `instance.writes`, by the number of the parameter, and in its captures.
function M.writes(instance)
  local found, tree = {}, instance.tree
  visit_all(found, tree.body)
  instance.writes = {}
  local position = {}
  for at, symbol in ipairs(tree.arguments) do position[symbol] = at end
  for _, access in ipairs(found) do
    if access.written then
      if access.capture then access.capture.written = true end
      if position[access.symbol] then instance.writes[position[access.symbol]] = true end
      for _, capture in ipairs(instance.captures) do
        if capture.symbols[access.symbol or false] then capture.written = true end
      end
    end
  end
end

---What the indices of a kernel show.
---@param tree table a checked function
---@param indices integer how many of its parameters are indices
---@return table[] conflicts { line, column, message, apart = { i, j } }: between iterations so far apart
---@return table<table, { written: boolean, own: string? }> uses by symbol
function M.find(tree, indices)
  local found, conflicts, symbols = {}, {}, {}
  visit_all(found, tree.body)
  for at = 1, indices do
    symbols[at] = tree.arguments[at]
    if symbols[at].assigned then return conflicts, M.uses(found, {}) end
  end
  for _, access in ipairs(found) do
    if access.symbol then find_fixed(access, symbols, conflicts) end
  end
  find_pairs(found, symbols, conflicts)
  return conflicts, M.uses(found, symbols)
end

---How each array is used.
function M.uses(found, indices)
  local uses = {}
  for _, access in ipairs(found) do
    local symbol = access.symbol
    if symbol then
      uses[symbol] = uses[symbol] or { own = #indices > 0 and own_place(found, symbol, indices) or nil }
      uses[symbol].written = uses[symbol].written or access.written or false
    end
  end
  return uses
end

return M
