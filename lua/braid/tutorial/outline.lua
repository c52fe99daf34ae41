-- SPDX-License-Identifier: MIT
--- The document's sections, by its own numbers, and the rows that measure what each one says.

local M = {}

---@class braid.TutorialSection
---@field number string "三" or "3.2"
---@field arabic string "3" or "3.2"
---@field zh string the document's heading
---@field en string
---@field from integer the first row
---@field to integer the last row

local function chapter(number, arabic, from, to, zh, en)
  return { number = number, arabic = arabic, from = from, to = to, zh = zh, en = en }
end

local function part(number, from, to, zh, en) return chapter(number, number, from, to, zh, en) end

---@type braid.TutorialSection[]
M.sections = {
  chapter("一", "1", 1, 6, "核心概念辨析", "Core concepts"),
  chapter("二", "2", 7, 9, "三种并发模型对比", "Three models compared"),
  chapter("三", "3", 10, 21, "案例一: I/O 密集型 —— 批量抓取 URL", "Case one, I/O-bound: fetching many URLs"),
  part("3.1", 10, 12, "串行版本", "Serially"),
  part("3.2", 13, 16, "多线程版本", "With threads"),
  part("3.3", 17, 21, "协程版本", "With tasks"),
  chapter("四", "4", 22, 28, "案例二: CPU 密集型 —— 大数质因数分解", "Case two, CPU-bound: factors of large numbers"),
  part("4.1", 22, 23, "串行版本", "Serially"),
  part("4.2", 24, 24, "多线程版本", "With threads"),
  part("4.3", 25, 28, "多进程版本", "With processes"),
  chapter("五", "5", 29, 33, "案例三: 混合负载 —— 生产者消费者", "Case three, a mixed load: producer and consumers"),
  part("5.1", 29, 32, "线程 + Queue", "Threads and a queue"),
  part("5.2", 33, 33, "asyncio 版本", "The asyncio version"),
  chapter("六", "6", 34, 38, "案例四: 异步 Web 服务", "Case four: an asynchronous web service"),
  chapter("七", "7", 39, 44, "同步原语对比", "Primitives compared"),
  chapter("八", "8", 45, 50, "决策树: 怎么选?", "The decision tree: which one?"),
  chapter("九", "9", 51, 55, "常见陷阱", "Common pitfalls"),
  chapter("十", "10", 56, 58, "自由线程 (No-GIL) 展望", "Free threading"),
}

---The first and the last row of a word: "S14", "S10-S19", "三", "3", "3.2", "三.2". nil for any other.
---@param word string
---@return integer? from
---@return integer? to
function M.range(word)
  local from, to = word:match "^[Ss](%d+)%-[Ss]?(%d+)$"
  from = from or word:match "^[Ss](%d+)$"
  if from then return tonumber(from), tonumber(to or from) end
  local plain = word:gsub("^[^%d.]+", function(number)
    for _, section in ipairs(M.sections) do
      if section.number == number then return section.arabic end
    end
  end)
  for _, section in ipairs(M.sections) do
    if section.arabic == plain then return section.from, section.to end
  end
  return nil
end

---The rows that one name stands for: 13 and 16 for "S13-S16".
---@param row string
---@return integer from
---@return integer to
function M.rows_of(row)
  local from, to = row:match "S(%d+)%-S(%d+)"
  from = from or row:match "S(%d+)"
  return math.tointeger(from), math.tointeger(to or from)
end

---The sections that begin with this row, the chapter first.
---@param row string
---@return braid.TutorialSection[]
function M.beginning_at(row)
  local first, list = M.rows_of(row), {}
  for _, section in ipairs(M.sections) do
    if section.from == first then list[#list + 1] = section end
  end
  return list
end

---The innermost section of a row.
---@param row string
---@return braid.TutorialSection
function M.section_of(row)
  local first, found = M.rows_of(row), nil
  for _, section in ipairs(M.sections) do
    if section.from <= first and first <= section.to then found = section end
  end
  return found
end

return M
