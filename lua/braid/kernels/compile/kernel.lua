-- SPDX-License-Identifier: MIT
--- `kernels.compile`: a Lua function becomes a native kernel that runs on all cores.

local compiler = require "braid.kernels.compile.compiler"
local conflicts = require "braid.kernels.compile.conflicts"
local checker = require "braid.kernels.compile.checker"
local core = require "braid.core"
local errors = require "braid.errors"
local fault = require "braid.kernels.compile.fault"
local interpreter = require "braid.kernels.compile.interpreter"
local mathematics = require "braid.kernels.compile.mathematics"
local parser = require "braid.kernels.compile.parser"
local program = require "braid.kernels.compile.program"
local source = require "braid.kernels.compile.source"
local kinds = require "braid.kernels.compile.types"
local view = require "braid.sync.view"

local M = {}

local type_of, type_key, named_type = kinds.type_of, kinds.type_key, kinds.named_type

---A kernel. Calling it runs it over a range: `kernel(n, ...)` for 1 to n, `kernel({ from, to }, ...)`, or
---`kernel({ from, to, from, to }, ...)` with two indices. Suspends.
---@class braid.Kernel
---@operator call: any
local Kernel = {}
Kernel.__index = Kernel
Kernel.__name = "braid.kernel"

local Options = {}
Options.__name = "braid.kernel_options"

local reductions = { sum = 1, product = 2, min = 3, max = 4 }
local FOLD = 5

-- Raises what the compiler refused as an error of kind "compile", for the function that calls this one's caller.
local function refuse(kernel, refused)
  local err = errors.new("compile", ("%s:%d:%d: %s"):format(kernel.file, refused.line, refused.column, refused.message),
    { line = refused.line, column = refused.column, kernel = kernel.name })
  error(err, 0)
end

local function guarded(kernel, fn, ...)
  local result = table.pack(pcall(fn, ...))
  if result[1] then return table.unpack(result, 2, result.n) end
  if fault.is(result[2]) then refuse(kernel, result[2]) end
  error(result[2], 0)
end

-- ---- values -------------------------------------------------------------------------------------------------------

local function is_kernel(value) return getmetatable(value) == Kernel end

-- The value of a name outside of the kernel's function.
local function outer_value(kernel, name)
  if kernel.values then return kernel.values[name] end
  local at = kernel.upvalues[name]
  if not at then return nil end
  local _, value = debug.getupvalue(kernel.fn, at)
  return value
end

-- ---- compiling ----------------------------------------------------------------------------------------------------

-- A tree of the kernel's own, which the checker changes: the first time the one that was parsed already.
local function parse(kernel)
  if kernel.taken then return parser.parse(kernel.text, kernel.line) end
  kernel.taken = true
  return kernel.tree
end

-- A world of one compilation: the instances of called kernels by kernel and types, callees first.
local function new_unit() return { instances = {}, callees = {}, captures = {}, names = 0, busy = {} } end

local function capture_of(unit, kernel, symbol)
  for _, capture in ipairs(unit.captures) do
    if capture.kernel == kernel and capture.name == symbol.name then
      capture.symbols[symbol] = true
      return capture
    end
  end
  local capture = { kernel = kernel, name = symbol.name, type = symbol.type, symbols = { [symbol] = true },
    c = ("u%d"):format(#unit.captures + 1) }
  unit.captures[#unit.captures + 1] = capture
  return capture
end

local function add_capture(list, capture)
  for _, each in ipairs(list) do
    if each == capture then return end
  end
  list[#list + 1] = capture
end

local instance_of

local function world(unit, kernel, inner)
  return {
    outer = function(name) return outer_value(kernel, name) end,
    type_of = type_of,
    kernel_of = function(value) return is_kernel(value) and value or nil end,
    instance = function(callee, types, node)
      local instance = instance_of(unit, callee, types, 0, node)
      for _, capture in ipairs(instance.captures) do inner[#inner + 1] = capture end
      return instance
    end,
  }
end

-- The function of a kernel for these types, checked. Called kernels come before it in unit.callees.
function instance_of(unit, kernel, types, indices, node)
  local keys = {}
  for at, kind in ipairs(types) do keys[at] = type_key(kind) end
  local key = ("%p(%s)%d"):format(kernel, table.concat(keys, ","), indices)
  if unit.instances[key] then return unit.instances[key] end
  if unit.busy[kernel] then fault.raise(node or kernel.tree, "a kernel cannot call itself") end
  unit.busy[kernel] = true
  local inner = {}
  local tree = checker.check(parse(kernel), types, indices, world(unit, kernel, inner))
  unit.busy[kernel] = nil
  unit.names = unit.names + 1
  local instance = { kernel = kernel, tree = tree, name = kernel.name, c = ("f%d"):format(unit.names), captures = {},
    results = tree.results }
  for _, symbol in ipairs(tree.outers) do
    local capture = capture_of(unit, kernel, symbol)
    symbol.c = capture.c
    add_capture(instance.captures, capture)
  end
  for _, capture in ipairs(inner) do add_capture(instance.captures, capture) end
  conflicts.writes(instance)
  unit.instances[key] = instance
  unit.callees[#unit.callees + 1] = instance
  return instance
end

local function check_results(kernel, results)
  if kernel.reduction and #results == 0 then
    fault.raise(kernel.tree, "a reduction needs results: return a number")
  end
  if #results > 8 then fault.raise(kernel.tree, "a kernel has at most 8 results") end
  for _, kind in ipairs(results) do
    if kernel.reduction and kind == "boolean" then
      fault.raise(kernel.tree, "a reduction of booleans: return 1 or 0")
    end
  end
end

local function fold_of(unit, kernel, results)
  if kernel.reduction ~= FOLD then return nil end
  if #results ~= 1 then fault.raise(kernel.tree, "a reduction by a function needs one result") end
  local fold = instance_of(unit, kernel.fold, { results[1], results[1] }, 0)
  if #fold.results ~= 1 or fold.results[1] ~= results[1] then
    fault.raise(kernel.fold.tree, "the function of reduce must return %s, as the kernel does",
      checker.type_name(results[1]))
  end
  if kernel.init ~= nil and math.type(kernel.init) ~= results[1] then
    fault.raise(kernel.tree, "reduce.init is %s, the kernel returns %s: write both alike",
      checker.type_name(math.type(kernel.init)), checker.type_name(results[1]))
  end
  return fold
end

-- How arguments and captures are passed to the core: a letter for each number, two for each array.
local function spec_of(instance, captures, indices, uses)
  local spec = {}
  local function add(kind, use)
    if kind == "integer" then
      spec[#spec + 1] = "i"
    elseif kind == "float" then
      spec[#spec + 1] = "f"
    elseif kind == "boolean" then
      spec[#spec + 1] = "b"
    else
      spec[#spec + 1] = (use.written and "w" or "a") .. (use.letter or "0")
    end
  end
  local letters, count = {}, 0
  local function use_of(symbols, written)
    local use = { written = written }
    for symbol in pairs(symbols) do
      local found = uses[symbol]
      if found then
        use.written = use.written or found.written
        if found.own and not letters[found.own] then
          count = count + 1
          letters[found.own] = string.char(0x60 + count)
        end
        use.letter = found.own and letters[found.own] or nil
      end
    end
    return use
  end
  for at, symbol in ipairs(instance.tree.arguments) do
    if at > indices then add(symbol.type, use_of { [symbol] = true }) end
  end
  for _, capture in ipairs(captures) do add(capture.type, use_of(capture.symbols, capture.written)) end
  return table.concat(spec)
end

-- Everything about a kernel for one list of types. `library` is nil without a compiler.
local function build(kernel, types, indices)
  local unit = new_unit()
  local all = {}
  for at = 1, indices do all[at] = "integer" end
  for _, kind in ipairs(types) do all[#all + 1] = kind end
  local instance = instance_of(unit, kernel, all, indices)
  unit.callees[#unit.callees] = nil
  check_results(kernel, instance.results)
  local captures = table.move(instance.captures, 1, #instance.captures, 1, {})
  local fold = fold_of(unit, kernel, instance.results)
  for _, capture in ipairs(fold and fold.captures or {}) do add_capture(captures, capture) end
  for at, capture in ipairs(captures) do capture.at = #types + at - 1 end
  local found, uses = conflicts.find(instance.tree, indices)
  local alone = not kernel.shared
  local text, sites, slow = program.emit(instance, unit.callees, indices,
    { unchecked = kernel.opts.unchecked, fold = fold, alone = alone })
  return { source = text, alone = alone, sites = sites, slow = slow, conflicts = found, captures = captures,
    types = types,
    results = instance.results, spec = spec_of(instance, captures, indices, uses), indices = indices,
    result_spec = kernel.reduction and (table.concat(instance.results, " "):gsub("(%a)%a* ?", "%1")) or "" }
end

local told = false

local function load_library(kernel, built)
  local library, info = compiler.compile(built.source, built.alone, kernel.opts.fast_math)
  built.library, built.info = library, library and info or nil
  if library then return end
  built.reason = info
  if told then return end
  told = true
  io.stderr:write(("braid: kernels run as Lua, slower: %s\n"):format((tostring(info):match "[^\n]*")))
end

-- What decides about the code of a call.
local function key_of(kernel, types, indices)
  local keys = { kernel.shared and "shared" or "alone", indices }
  for _, kind in ipairs(types) do keys[#keys + 1] = type_key(kind) end
  for name in pairs(kernel.used) do keys[#keys + 1] = type_key(type_of(outer_value(kernel, name))) or "?" end
  return table.concat(keys, ",")
end

-- The kernel's code for these types.
local function built_for(kernel, types, indices)
  local key = key_of(kernel, types, indices)
  local built = kernel.built[key]
  if not built then
    built = guarded(kernel, build, kernel, types, indices)
    load_library(kernel, built)
    for _, capture in ipairs(built.captures) do
      if capture.kernel == kernel then kernel.used[capture.name] = true end
    end
    kernel.built[key_of(kernel, types, indices)] = built -- which may know more names now
  end
  kernel.last = built
  return built
end

-- ---- calls --------------------------------------------------------------------------------------------------------

-- The range { i_first, i_last, j_first, j_last }, and whether it has two indices.
local function range_of(kernel, value)
  local n = math.type(value) and math.tointeger(value)
  if n then return { 1, n, 1, 1 }, false end
  if type(value) == "table" and (#value == 2 or #value == 4) then
    local range, whole = {}, true
    for at, each in ipairs(value) do
      range[at] = math.type(each) and math.tointeger(each)
      whole = whole and range[at] ~= nil
    end
    if whole then
      local two = #range == 4
      if not two then range[3], range[4] = 1, 1 end
      return range, two
    end
  end
  errors.misuse(2, "bad first argument of kernel '%s' (a number of iterations, { from, to } or { from, to, from, to } "
    .. "expected, got %s)", kernel.name, errors.described(value))
end

local function types_of(kernel, args)
  local types = {}
  for at = 1, args.n do
    types[at] = type_of(args[at])
    if not types[at] then
      errors.misuse(2, "bad argument %d of kernel '%s' (a number, a boolean or a braid.array expected, got %s)", at + 1,
        kernel.name, errors.described(args[at]))
    end
  end
  return types
end

local function refuse_conflicts(kernel, built, range)
  for _, conflict in ipairs(built.conflicts) do
    if range[2] - range[1] + 1 > conflict.apart[1] and range[4] - range[3] + 1 > conflict.apart[2] then
      refuse(kernel, conflict)
    end
  end
end

local function push(list, value)
  if type_of(value) and type(type_of(value)) == "table" then
    list[#list + 1], list[#list + 2], list[#list + 3], list[#list + 4], list[#list + 5],
      list[#list + 6] = view.layout(value)
  else
    list[#list + 1] = value
  end
end

local function captured(capture) return outer_value(capture.kernel, capture.name) end

local what = {
  index = function(site, value, limit)
    return ("there is no element %d in '%s', which has %d"):format(value, site.name or "a list", limit)
  end,
  integer = function() return "the number has no integer representation" end,
  whole = function() return "the result has no integer representation" end,
  store = function(site, value)
    return ("an array of %s cannot hold the value%s"):format(site.name, value ~= 0 and (" %d"):format(value) or "")
  end,
  ["n//0"] = function() return "attempt to perform 'n//0'" end,
  ["n%%0"] = function() return "attempt to perform 'n%%0'" end,
  step = function() return "'for' step is zero" end,
}

local function raise_fault(kernel, built, site, value, limit, i, j)
  local place = built.sites[site]
  local iteration = built.indices == 2 and ("%d, %d"):format(i, j) or ("%d"):format(i)
  error(errors.new("misuse", ("%s:%d: %s (kernel '%s', iteration %s)"):format(kernel.file, place.line,
    what[place.what](place, value, limit), place.kernel, iteration),
    { kernel = place.kernel, line = place.line, column = place.column,
      array = place.what == "index" and place.name or nil,
      index = place.what == "index" and value or nil }), 0)
end

local function argument_name(kernel, built, number)
  local name = kernel.tree.params[number + built.indices]
  if name then return name end
  return built.captures[number - #built.types].name
end

local function finish(kernel, built, ok, kind, ...)
  if ok then
    if kernel.reduction == FOLD and kernel.init ~= nil then
      if kind == nil then return kernel.init end
      return kernel.fold_value(kernel.init, kind)
    end
    return kind, ...
  end
  if kind == "fault" then raise_fault(kernel, built, ...) end
  if kind == "shared" then return M end
  local a, b = ...
  errors.misuse(2, "kernel '%s': '%s' and '%s' share elements, and one of them is written: copy one before",
    kernel.name,
    argument_name(kernel, built, a), argument_name(kernel, built, b))
end

local SMALL = 2048 -- iterations of a kernel without loops that take less time than starting threads

-- Calls the code. Arrays that share elements, each at its iteration's own place, need code that does not assume that
-- they are alone; it is made when it is first needed.
local function call_native(kernel, built, range, args, threads, two)
  local list = {}
  for at = 1, args.n do push(list, args[at]) end
  for _, capture in ipairs(built.captures) do push(list, captured(capture)) end
  local count = (range[2] - range[1] + 1) * (range[4] - range[3] + 1)
  local results = table.pack(finish(kernel, built, core.compiled_run(built.library, range[1], range[2], range[3],
    range[4], threads,
    not built.slow and count <= SMALL, kernel.reduction or 0, built.result_spec, built.spec, table.unpack(list))))
  if results[1] ~= M then return table.unpack(results, 1, results.n) end
  kernel.shared = true
  local careful = built_for(kernel, built.types, two and 2 or 1)
  return call_native(kernel, careful, range, args, threads, two)
end

-- A value that Lua code can use as the kernel's function would: a kernel becomes its function.
local function plain(value)
  if not is_kernel(value) then return value end
  return value.fn or load("return " .. value.text, "=kernel")()
end

local function call_lua(kernel, built, range, args, two)
  local names, values = {}, {}
  for at, name in ipairs(kernel:outer_names()) do names[at], values[at] = name, plain(outer_value(kernel, name)) end
  local reduce = kernel.reduction == FOLD and "fold" or kernel.opts.reduce
  return finish(kernel, built, true, interpreter.run { text = kernel.text, names = names, values = values,
    range = range,
    two = two, arguments = args, results = built.results, reduce = reduce, fn = kernel.fold_value })
end

local empty = { sum = { float = 0.0, integer = 0 }, product = { float = 1.0, integer = 1 } }

local function result_of_nothing(kernel, built)
  if kernel.init ~= nil then return kernel.init end
  local zero, values = empty[kernel.opts.reduce], {}
  for at, kind in ipairs(built.results) do values[at] = zero and zero[kind] or nil end
  return table.unpack(values, 1, kernel.reduction and #built.results or 0)
end

function Kernel:__call(range, ...)
  local args = table.pack(...)
  local threads
  if getmetatable(args[args.n]) == Options then
    threads, args[args.n], args.n = args[args.n].threads, nil, args.n - 1
  end
  local given, two = range_of(self, range)
  local built = built_for(self, types_of(self, args), two and 2 or 1)
  if #built.results > 0 and not self.reduction then
    errors.misuse(1, "kernel '%s' returns values, so a call over a range needs `reduce`", self.name)
  end
  if given[2] < given[1] or given[4] < given[3] then return result_of_nothing(self, built) end
  refuse_conflicts(self, built, given)
  if built.library then return call_native(self, built, given, args, threads, two) end
  return call_lua(self, built, given, args, two)
end

---The names outside of the function that it uses.
---@return string[]
function Kernel:outer_names()
  local names = {}
  if self.values then
    for name in pairs(self.values) do names[#names + 1] = name end
    table.sort(names)
    return names
  end
  for name in pairs(self.upvalues) do
    if name ~= "_ENV" then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

---The C that the last call was compiled to; nil before the first one.
---@return string?
function Kernel:source() return self.last and self.last.source end

---About the last call: whether it is native, the types, the seconds that making the code took, whether it came from the
---cache folder, whether the C compiler vectorised a loop, and where the function is written.
---@return { native: boolean, types: string[]?, seconds: number?, cached: boolean?, vectorized: boolean?, file: string,
--- reason: string? }
function Kernel:info()
  local built = self.last
  if not built then return { native = false, file = self.file } end
  local types = {}
  for at, kind in ipairs(built.types) do types[at] = type_key(kind) end
  local info = built.info or {}
  return { native = built.library ~= nil, types = types, seconds = info.seconds, cached = info.cached,
    vectorized = info.vectorized, file = self.file, reason = built.reason }
end

function Kernel:__tostring() return ("braid.kernel: %s"):format(self.name) end

function Kernel:__braid_pack()
  local values = {}
  for _, name in ipairs(self:outer_names()) do values[name] = outer_value(self, name) end
  return M.from, self.text, self.line, self.file, self.opts, values
end

-- ---- making -------------------------------------------------------------------------------------------------------

local options = { reduce = "any", name = "string", unchecked = "boolean", fast_math = "boolean", types = "table" }

local function upvalues_of(fn)
  local places = {}
  for at = 1, math.huge do
    local name = debug.getupvalue(fn, at)
    if not name then return places end
    places[name] = at
  end
end

-- Reads the option `reduce`.
local function set_reduction(kernel, reduce)
  if reduce == nil then return end
  kernel.reduction = type(reduce) == "string" and reductions[reduce] or nil
  if kernel.reduction then return end
  local fn, init = reduce, nil
  if type(reduce) == "table" and not is_kernel(reduce) then fn, init = reduce.fn, reduce.init end
  if type(fn) ~= "function" and not is_kernel(fn) and not (type(fn) == "string" and fn:find "function") then
    errors.misuse(2, "bad option 'reduce' to 'compile' (\"sum\", \"min\", \"max\", \"product\" or { init =, fn = } "
      .. "expected, got %s)", errors.described(reduce))
  end
  kernel.reduction, kernel.init = FOLD, init
  local known = mathematics.name_of(fn)
  if known then fn = ("function(a, b) return math.%s(a, b) end"):format(known) end
  kernel.fold = is_kernel(fn) and fn or M.compile(fn, { name = "reduce" })
  kernel.fold_value = kernel.fold.fn or load("return " .. kernel.fold.text, "=kernel")()
end

local function new_kernel(fields, opts)
  fields.opts, fields.built, fields.used = opts, {}, {}
  fields.name = opts.name or fields.name or "kernel"
  local kernel = setmetatable(fields, Kernel)
  set_reduction(kernel, opts.reduce)
  if opts.types then
    local types = {}
    for at, text in ipairs(opts.types) do types[at] = named_type(text) end
    local indices = #kernel.tree.params - #types
    if indices ~= 1 and indices ~= 2 then
      errors.misuse(2, "bad option 'types' to 'compile' (the types of all parameters but the one or two indices "
        .. "expected, got %d for %d parameters)", #types, #kernel.tree.params)
    end
    built_for(kernel, types, indices)
  end
  return kernel
end

---Makes a kernel from its text and the values of the names around it, as it was sent from another state.
---@param text string
---@param line integer
---@param file string
---@param opts table
---@param values table<string, any>
---@return braid.Kernel
function M.from(text, line, file, opts, values)
  return new_kernel({ text = text, line = line, file = file, values = values, tree = parser.parse(text, line) }, opts)
end

---Compiles a Lua function, or the text of one, to a native kernel that runs on all cores. See docs/kernels.md for the
---language. Types come from the arguments of the first call for each list of types; that call compiles, and suspends.
---Kind "compile": the function uses what kernels lack; `line` and `column` tell where.
---@param fn function|string
---@param opts { reduce: "sum"|"min"|"max"|"product"|function|{ init: number?, fn: function }|nil, name: string?,
--- unchecked: boolean?, fast_math: boolean?, types: string[]? }?
---@return braid.Kernel
function M.compile(fn, opts)
  errors.check_options(1, "compile", opts, options)
  opts = opts or {}
  local kernel = { file = "kernel", name = opts.name, line = 1 }
  if type(fn) == "string" then
    kernel.text, kernel.values = fn, {}
    kernel.tree = guarded(kernel, parser.parse, fn, 1)
  elseif type(fn) == "function" then
    local info = debug.getinfo(fn, "S")
    kernel.file, kernel.line = info.short_src, info.linedefined
    kernel.text, kernel.tree, kernel.file = guarded(kernel, source.of, fn)
    kernel.fn, kernel.upvalues = fn, upvalues_of(fn)
  else
    errors.misuse(1, "bad argument 'fn' to 'compile' (a function or the text of one expected, got %s)",
      errors.described(fn))
  end
  return new_kernel(kernel, opts)
end

---Options for one call of a kernel: its last argument.
---@param opts { threads: integer? }
---@return table
function M.options(opts)
  errors.check_options(1, "options", opts, { threads = "integer" })
  return setmetatable({ threads = opts and opts.threads }, Options)
end

return M
