-- SPDX-License-Identifier: MIT
-- An advice as text: the document's decision tree with the chosen branch and this machine's numbers, and the reasons.
local errors = require "braid.errors"
local units = require "braid.units"

local M = {}

local words = {
  zh = {
    question = "任务是 CPU 密集?",
    yes = "是",
    processes = "multiprocessing / ProcessPoolExecutor",
    no_gil = "(这里没有 GIL,线程同样并行)",
    kernel = "(或考虑 numpy/numba/Cython 释放 GIL)",
    no = "否(I/O 密集)",
    sync = "已有同步库(如 requests、psycopg2)",
    threads = "ThreadPoolExecutor(改造成本低)",
    async = "有异步库(aiohttp、asyncpg、httpx)",
    tasks = "asyncio(单机最高吞吐)",
    small = "任务太小,或没有可以重叠的部分 → 直接调用",
    own_kernel = "没有给出 kernel",
    machines = "(或一台机器不够: 多台机器)",
    absent = "没有",
    slots = "%d 个位置合计是单核的 %.2f 倍",
    start = "启动 %s", worker = "每多一个 %s", job = "每个任务 %s", item = "成批时每项 %s", rate = "%s/s",
    gain = "%d 个核心合计是单核的 %.2f 倍",
    profile = "每项 %s: 计算 %s (%.0f %%), 阻塞等待 %s, 可让出的等待 %s",
    chosen = "选 %s: %d 项预计 %s",
    workers = "%d 个 worker", chunk = "每批 %d 项",
    runner_up = "其次是 %s: %s", simpler = " (没有快到值得用更复杂的模型)",
    refusal = "不能送到线程或进程: %s",
    failure = "在 %s 中失败: %s",
    pilot = "试运行 %s: %d 项用了 %s (估算为 %s)%s", start_up = ", 打开、预热和关闭用了 %s",
    unsafe = "模块 %s 不能由多个线程同时使用 (%s)",
    isolate = "要求隔离: 崩溃只影响一个进程",
    no_processes = "要求隔离, 但这里不能用进程",
    estimated = "仅估算",
    elsewhere = "函数自己已经使用其他线程或程序: 每项 %s",
    bytes = "每项参数 %s, 结果 %s",
    cpu_bound = "大部分时间在计算: 只有更多的核心才有用",
    sync_bound = "等待时线程被阻塞: 只有线程或进程才能重叠这些等待",
    async_bound = "等待时让出循环: 一个线程内的协程就能重叠这些等待",
    not_worth = "派发的成本超过它能节省的时间",
    busy = "机器繁忙: 测量期间其他程序平均占用 %.1f 个核心 (共 %d 个, 负载 %.1f); 空闲时请重测",
    sure = "把握: 高", unsure = "把握: 低 (%s)",
    why_busy = "机器繁忙", why_estimated = "没有试运行", why_close = "与 %s 相差不到 %.0f %%",
  },
  en = {
    question = "Is the task CPU-bound?",
    yes = "yes",
    processes = "multiprocessing / ProcessPoolExecutor",
    no_gil = "(no GIL here: threads run in parallel, too)",
    kernel = "(or numpy/numba/Cython, which release the GIL)",
    no = "no (I/O-bound)",
    sync = "there is a synchronous library (requests, psycopg2)",
    threads = "ThreadPoolExecutor (little to change)",
    async = "there is an asynchronous library (aiohttp, asyncpg, httpx)",
    tasks = "asyncio (the highest throughput of one machine)",
    small = "too small, or nothing to overlap → just call it",
    own_kernel = "no kernel was given",
    machines = "(or one machine is too small: several machines)",
    absent = "none",
    slots = "%d slots together are %.2f times one core",
    start = "start %s", worker = "each further %s", job = "each job %s", item = "in chunks each item %s", rate = "%s/s",
    gain = "%d cores together are %.2f times one",
    profile = "each item %s: computing %s (%.0f %%), blocked %s, suspended %s",
    chosen = "%s: %d items should take %s",
    workers = "%d workers", chunk = "%d items a chunk",
    runner_up = "next best is %s: %s", simpler = " (not so much faster that it is worth handling more)",
    refusal = "cannot be sent to threads or processes: %s",
    failure = "fails in %s: %s",
    pilot = "pilot run of %s: %d items took %s (estimated: %s)%s", start_up = ", to open, warm up and close it %s",
    unsafe = "the module %s must not be used by several threads (%s)",
    isolate = "isolation is wanted: a crash ends one process only",
    no_processes = "isolation is wanted, but processes cannot be used here",
    estimated = "only estimated",
    elsewhere = "the function uses other threads or programs itself: %s for each item",
    bytes = "each item's argument %s, result %s",
    cpu_bound = "most of the time it computes: only more cores help",
    sync_bound = "while it waits it blocks its thread: only threads or processes overlap such waits",
    async_bound = "while it waits others may run: tasks of one thread overlap such waits",
    not_worth = "sending it away costs more than it saves",
    busy = "machine busy: other programs used %.1f of the %d cores while it was measured (load %.1f); repeat it when "
      .. "they have ended",
    sure = "certainty: high", unsure = "certainty: low (%s)",
    why_busy = "the machine is busy", why_estimated = "it had no pilot run", why_close = "%s is within %.0f %%",
  },
}

---@type table<string, table>
M.languages = words

local NAMES = {
  inline = "braid.inline_pool", tasks = "braid.task_pool", threads = "braid.thread_pool",
  processes = "braid.process_pool", kernel = "braid.kernels", cluster = "braid.cluster",
}

---@type string[] in the order of how much care their use needs
M.models = { "inline", "tasks", "threads", "processes", "kernel", "cluster" }

-- ---- the tree -------------------------------------------------------------------------------------------------------

-- Draws the document's tree. `branch(place)` returns the text after a branch, `leaf(model, computing)` that of a leaf.
-- The cluster is in it when one was named.
local function draw_tree(w, named, branch, leaf)
  local kernel = leaf("kernel", true)
  if named then
    kernel = table.concat({ kernel, "│   └── " .. w.machines, "│       └── " .. leaf("cluster", true) }, "\n")
  end
  return table.concat({
    w.question .. branch "question",
    "├── " .. w.yes .. " → " .. w.processes .. branch "yes",
    "│   ├── " .. leaf("processes", true),
    "│   ├── " .. w.no_gil,
    "│   │   └── " .. leaf("threads", true),
    named and "│   ├── " .. w.kernel or "│   └── " .. w.kernel,
    (named and "│   │   └── " or "│       └── ") .. kernel,
    "├── " .. w.no .. branch "no",
    "│   ├── " .. w.sync .. branch "sync",
    "│   │   └── " .. w.threads,
    "│   │       └── " .. leaf("threads", false),
    "│   └── " .. w.async .. branch "async",
    "│       └── " .. w.tasks,
    "│           └── " .. leaf("tasks", false),
    "└── " .. w.small,
    "    └── " .. leaf("inline", false),
  }, "\n")
end

local function costs_of(w, cost)
  local parts = { w.start:format(units.seconds(cost.start)) }
  if cost.worker > 0 then parts[#parts + 1] = w.worker:format(units.seconds(cost.worker)) end
  parts[#parts + 1] = w.job:format(units.seconds(cost.job))
  if cost.item > 0 then parts[#parts + 1] = w.item:format(units.seconds(cost.item)) end
  if cost.byte > 0 then parts[#parts + 1] = w.rate:format(units.bytes(1 / cost.byte)) end
  return table.concat(parts, ", ")
end

---The tree with the costs of this machine.
---@param costs braid.Costs
---@param lang string
---@return string
function M.tree(costs, lang)
  local w = words[lang] or words.en
  return draw_tree(w, false, function(place)
    return place == "yes" and "  [" .. w.gain:format(costs.cores, costs.gain) .. "]" or ""
  end, function(model)
    if model == "kernel" then return NAMES.kernel end
    return ("%s: %s"):format(NAMES[model], costs[model] and costs_of(w, costs[model]) or w.absent)
  end)
end

-- ---- the advice -----------------------------------------------------------------------------------------------------

---@class braid.Advice
---@field model "inline"|"tasks"|"threads"|"processes"|"kernel"|"cluster"
---@field workers integer
---@field chunk integer items in each job
---@field predicted number seconds for all items, with the time to open and close the pool
---@field reasons string[]
---@field items integer
---@field cpu_bound boolean
---@field predictions table<string, braid.Prediction>
---@field profile braid.Profile the measurements
---@field costs braid.Costs the costs of this machine
---@field others number? cores that other programs used meanwhile, on average; nil: the system does not tell, or workers
--- of a cluster may be among them
---@field busy boolean whether that was more than a tenth of the machine
---@field certainty "high"|"low" low: the machine was busy, the model was only estimated, or another one is as good
local Advice = {}
local Class = { __name = "braid.advice", __index = Advice }

local function profile_text(w, p)
  return w.profile:format(units.seconds(p.wall), units.seconds(p.cpu), p.wall > 0 and p.cpu / p.wall * 100 or 100,
    units.seconds(p.blocked), units.seconds(p.suspended))
end

local function runner_up(self)
  local best
  for model, one in pairs(self.predictions) do
    local possible = model ~= self.model and not self.obstacles[model]
    if possible and (not best or one.seconds < best.seconds) then best = one end
  end
  return best
end

local function nature(self, w)
  local p = self.profile
  if self.model == "inline" then return w.not_worth end
  if self.cpu_bound then return w.cpu_bound end
  return p.blocked > p.suspended and w.sync_bound or w.async_bound
end

local function pilot_text(w, one)
  local pilot = one.pilot
  local start = (one.model == "threads" or one.model == "processes") and w.start_up:format(units.seconds(one.start))
  return w.pilot:format(NAMES[one.model], pilot.items, units.seconds(pilot.seconds), units.seconds(pilot.estimated),
    start or "")
end

local BUSY = 0.1  -- part of the cores that others use
local CLOSE = 0.1 -- difference of two models that another run could turn around

-- Why the choice may be wrong; nil: it is sure.
local function doubt(self, w)
  local one, second = self.predictions[self.model], runner_up(self)
  if self.busy then return w.why_busy end
  if one and not one.pilot and self.model ~= "inline" then return w.why_estimated end
  if second and math.abs(second.seconds - self.predicted) < CLOSE * self.predicted then
    return w.why_close:format(NAMES[second.model], CLOSE * 100)
  end
end

local function list_reasons(self)
  local w, p, list = words[self.lang], self.profile, {}
  local function say(format, ...) list[#list + 1] = format:format(...) end
  say("%s", profile_text(w, p))
  say("%s", nature(self, w))
  if self.cpu_bound and self.costs.cores > 1 then say(w.gain, self.costs.cores, self.costs.gain) end
  local cluster = self.costs.cluster
  if self.cpu_bound and cluster then say(w.slots, cluster.slots, cluster.gain) end
  if p.elsewhere > 0 then say(w.elsewhere, units.seconds(p.elsewhere)) end
  if p.refusal then
    say(w.refusal, p.refusal)
  elseif p.bytes_in + p.bytes_out > 1000 then
    say(w.bytes, units.bytes(p.bytes_in), units.bytes(p.bytes_out))
  end
  for model, failure in pairs(p.failures) do say(w.failure, NAMES[model], failure) end
  if p.unsafe then say(w.unsafe, p.unsafe, p.why_unsafe) end
  if self.isolate then
    say("%s", self.predictions.processes and not p.failures.processes and w.isolate or w.no_processes)
  end
  for _, model in ipairs(M.models) do
    local one = self.predictions[model]
    if one and one.pilot then say("%s", pilot_text(w, one)) end
  end
  if self.busy then say(w.busy, self.others, self.costs.cores, self.load or 0) end
  local why = doubt(self, w)
  self.certainty = why and "low" or "high"
  if why then say(w.unsure, why) else say("%s", w.sure) end
  say(w.chosen, NAMES[self.model], self.items, units.seconds(self.predicted))
  local second = runner_up(self)
  if second then
    local simpler = second.seconds < self.predicted and w.simpler or ""
    say(w.runner_up .. simpler, NAMES[second.model], units.seconds(second.seconds))
  end
  return list
end

---@param fields table
---@return braid.Advice
function M.new(fields)
  local p = fields.profile
  fields.cpu_bound = p.cpu + p.elsewhere >= 0.5 * p.wall
  fields.busy = fields.others ~= nil and fields.others > BUSY * fields.costs.cores
  fields.reasons = list_reasons(fields)
  return setmetatable(fields, Class)
end

-- Threads are at two leaves: for computing, and for libraries that block.
local function is_taken(self, model, computing)
  if model ~= self.model then return false end
  return model ~= "threads" or computing == self.cpu_bound
end

local function leaf_text(self, w, model, computing)
  local one = self.predictions[model]
  if not one then return NAMES[model] .. (model == "kernel" and ": " .. w.own_kernel or ": " .. w.absent) end
  local details = { units.seconds(one.seconds) }
  if one.workers > 1 and model ~= "kernel" then details[2] = w.workers:format(one.workers) end
  if one.chunk > 1 then details[#details + 1] = w.chunk:format(one.chunk) end
  if not one.pilot then details[#details + 1] = w.estimated end
  local text = NAMES[model] .. ": " .. table.concat(details, ", ")
  if self.obstacles[model] then return text .. "  ✗" end
  return is_taken(self, model, computing) and text .. "  ◀━━" or text
end

function Class.__tostring(self)
  local w, p = words[self.lang], self.profile
  local blocks = p.blocked > p.suspended
  local way = self.model == "inline" and {} or {
    yes = self.cpu_bound, no = not self.cpu_bound, sync = not self.cpu_bound and blocks,
    async = not self.cpu_bound and not blocks,
  }
  local tree = draw_tree(w, self.costs.cluster ~= nil, function(place)
    if place == "question" then return "  [" .. profile_text(w, p) .. "]" end
    return way[place] and "  ◀" or ""
  end, function(model, computing) return leaf_text(self, w, model, computing) end)
  return tree .. "\n\n- " .. table.concat(self.reasons, "\n- ")
end

---Prints the tree and the reasons.
function Advice:print()
  print(tostring(self))
end

errors.guard(Class, Advice)

return M
