-- SPDX-License-Identifier: MIT
-- Files and folders: the formats of io, whole files, folders, locks, changes, and that nothing holds the loop.
local helper = require "spec.helper"
local braid = require "braid"

local test, run = helper.test, helper.run
local file = braid.file

-- Runs fn(folder) with a temporary folder.
local function inside(fn)
  return function()
    run(function()
      local folder <close> = assert(file.temporary { folder = true })
      fn(folder.path .. "/")
    end)
  end
end

local function by_io(path, mode, ...)
  local handle <close> = assert(io.open(path, mode))
  local results = table.pack(...)
  if results.n == 0 then return handle:read "a" end
  return handle:write(...)
end

-- Runs fn while another task counts its turns; returns the longest time between two turns.
local function longest_gap(fn)
  local gap, last, on = 0, braid.now(), true
  local beat = braid.spawn(function()
    while on do
      braid.sleep(0.001)
      gap, last = math.max(gap, braid.now() - last), braid.now()
    end
  end)
  fn()
  on = false
  beat:wait()
  return gap
end

describe("open files", function()
  test("are read as io reads them", inside(function(folder)
    local lines = {}
    for i = 1, 1500 do lines[i] = ("%d %s"):format(i, ("x"):rep(i % 97)) end
    local text = table.concat(lines, "\n") .. "\n0x1p4 -3 .5e1 nan\n" .. ("y"):rep(200000) .. "\nlast"
    by_io(folder .. "a", "w", text)
    for _, formats in ipairs { { "l" }, { "L" }, { "a" }, { 7 }, { 70000 }, { 0, 3 }, { "n", "l" }, { "n" }, { "*l" },
      { "l", "L", 10, "a" } } do
      local ours, theirs = assert(file.open(folder .. "a")), assert(io.open(folder .. "a"))
      for _ = 1, 2000 do
        local expected = table.pack(theirs:read(table.unpack(formats)))
        assert.same(expected, table.pack(ours:read(table.unpack(formats))))
        assert.equal(theirs:seek(), ours:seek())
        if expected[1] == nil or formats[1] == "a" then break end
      end
      ours:close()
      theirs:close()
    end
  end))

  test("read numerals as io does", inside(function(folder)
    for _, text in ipairs { "12 ", "-0x1F,", "3.", ".5", ".", "1e", "1e+5x", "0x", "0x.8p1", "  7", "+3", "--3", "0b1",
      ("9"):rep(250), "1e5e5", "", "  ", "inf" } do
      by_io(folder .. "n", "w", text)
      local ours <close> = assert(file.open(folder .. "n"))
      local theirs <close> = assert(io.open(folder .. "n"))
      assert.same({ theirs:read "n" }, { ours:read "n" }, text)
      assert.same({ theirs:read "a" }, { ours:read "a" }, text)
    end
  end))

  test("are written and moved in as those of io", inside(function(folder)
    local ours <close> = assert(file.open(folder .. "a", "w+"))
    assert.equal(ours, ours:write("one", 2, " ", 2.5, "\n"))
    assert.equal("one2 2.5\n", by_io(folder .. "a", "r"))
    assert.equal(3, ours:seek("set", 3))
    assert(ours:write "TWO")
    assert.equal(0, ours:seek "set")
    assert.equal("oneTWO", ours:read(6))
    assert.equal(9, ours:seek "end")
    assert.equal(8, ours:seek("cur", -1))
    assert.is_nil((ours:seek("set", -1)))
    assert(ours:truncate(4))
    assert.equal("oneT", by_io(folder .. "a", "r"))
    assert.is_true(ours:sync())
    assert.equal(ours, ours:flush())
    local more <close> = assert(file.open(folder .. "a", "a+"))
    assert(more:write "!")
    assert.equal(5, more:seek())
    more:seek "set"
    assert.equal("oneT!", more:read "a")
    assert(more:write "?")
    assert.equal("oneT!?", by_io(folder .. "a", "r"))
  end))

  test("say what went wrong", inside(function(folder)
    local none, err = file.open(folder .. "none")
    assert.is_nil(none)
    assert.equal("system", err.kind)
    assert.equal(2, err.code)
    assert.matches("No such file", err.message)
    by_io(folder .. "a", "w", "text")
    local reader = assert(file.open(folder .. "a"))
    assert.equal("system", select(2, reader:write "x").kind)
    assert.is_true(reader:close())
    assert.is_true(reader:close())
    assert.equal("closed", select(2, reader:read()).kind)
    assert.equal("closed", select(2, reader:write "x").kind)
    assert.error_matches(function() reader:read "x" end, "file_spec.*bad argument 'format' to 'read'")
    assert.error_matches(function() file.open(folder .. "a", "rw") end, "bad argument 'mode' to 'open'")
    assert.error_matches(function() file.open "" end, "bad argument 'path' to 'open'")
    assert.error_matches(function() file.write(folder .. "a", {}) end, "bad argument 'data' to 'write'")
    assert.error_matches(function() file.write(folder .. "a", "", { atomc = true }) end, "did you mean 'atomic'")
    local pool <close> = braid.thread_pool(1)
    local open <close> = assert(file.open(folder .. "a"))
    assert.error_matches(function() pool:submit(print, open) end, "cannot be sent")
  end))

  test("are read in turn by several tasks", inside(function(folder)
    by_io(folder .. "a", "w", ("0123456789\n"):rep(2000))
    local open <close> = assert(file.open(folder .. "a"))
    local count = 0
    local function reader()
      for line in open:lines() do
        assert.equal("0123456789", line)
        count = count + 1
      end
    end
    braid.gather { reader, reader, reader, reader }
    assert.equal(2000, count)
  end))

  test("work in workers and in a plain script", function()
    local path = os.tmpname()
    local function work(name)
      local files = require("braid").file
      assert(files.write(name, "from a worker"))
      return files.read(name)
    end
    for _, kind in ipairs { "threads", "processes" } do
      local pool <close> = braid.pool(kind, 1)
      assert.equal("from a worker", pool:submit(work, path):result())
    end
    assert.equal("from a worker", work(path))
    assert(file.remove(path))
  end)
end)

describe("whole files", function()
  test("are written, read, added to and copied", inside(function(folder)
    local text = ("abc"):rep(1 << 20)
    assert.is_true(file.write(folder .. "a", text))
    assert.equal(text, file.read(folder .. "a"))
    assert.is_true(file.append(folder .. "a", "end"))
    assert.is_true(file.copy(folder .. "a", folder .. "b"))
    assert.equal(text .. "end", file.read(folder .. "b"))
    assert.is_true(file.write(folder .. "a", 12))
    assert.equal("12", file.read(folder .. "a"))
    assert.is_nil((file.copy(folder .. "a", folder .. "a")))
    assert.equal("12", file.read(folder .. "a"))
    assert.is_true(file.copy("/proc/self/status", folder .. "c"))
    assert.matches("Name:", file.read(folder .. "c"))
    assert.matches("Name:", file.read "/proc/self/status")
    assert.equal(21, select(2, file.read(folder)).code)
    assert.equal("", file.read "/dev/null")
    assert.is_true(file.write("/dev/null", "x"))
  end))

  test("are replaced in one step, with the permissions of the old one", inside(function(folder)
    local path = folder .. "a"
    file.write(path, "old")
    os.execute(("chmod 640 %s && ln -s a %slink"):format(path, folder))
    assert.is_true(file.write(folder .. "link", "new", { atomic = true }))
    assert.equal("new", file.read(path))
    assert.equal(tonumber("640", 8), file.stat(path).mode)
    assert.equal("link", file.stat(folder .. "link", { follow = false }).kind)
    assert.same({ "a", "link" }, file.list(folder))
    local open <close> = assert(file.open(path))
    assert.is_true(file.write(path, "newer", { atomic = true }))
    assert.equal("new", open:read "a")
    assert.is_true(file.write(folder .. "made", "x", { atomic = true, mode = tonumber("600", 8) }))
    assert.equal(tonumber("600", 8), file.stat(folder .. "made").mode)
    assert.equal(2, select(2, file.write(folder .. "no/a", "x", { atomic = true })).code)
    assert.equal(22, select(2, file.write("/dev/null", "x", { atomic = true })).code)
  end))

  test("leave the old content where an atomic write fails or is cancelled", inside(function(folder)
    local path = folder .. "a"
    file.write(path, "old")
    local data = ("x"):rep(64 << 20)
    for _, after in ipairs { 0, 0.001, 0.01 } do
      local task = braid.spawn(file.write, path, data, { atomic = true })
      braid.sleep(after)
      task:cancel()
      task:wait()
      local size = file.stat(path).size
      assert.is_true(size == (task:cancelled() and 3 or #data))
      assert.same({ "a" }, file.list(folder))
      file.write(path, "old")
    end
    local said = helper.lua_process([[
      local file = require("braid").file
      local done, err = file.write(arg[1], ("x"):rep(1 << 20), { atomic = true })
      print(done, err.code, file.read(arg[1]))
    ]], { args = { path }, limits = "-f 100" })
    assert.equal("nil\t27\told\n", said)
  end))

  test("tell how much a cancelled write has left", inside(function(folder)
    local data, left = ("x"):rep(96 << 20), nil
    local task = braid.spawn(function()
      local ok, err = pcall(file.write, folder .. "a", data)
      left = not ok and err.written
      if not ok then error(err, 0) end
    end)
    repeat braid.sleep(0.001) until (file.stat(folder .. "a") or { size = 0 }).size > 0
    task:cancel()
    task:wait()
    if task:cancelled() then assert.equal(left, file.stat(folder .. "a").size) end
    local open <close> = assert(file.open(folder .. "b", "w"))
    local writer = braid.spawn(function() return open:write(data) end)
    repeat braid.sleep(0.001) until file.stat(folder .. "b").size > 0
    writer:cancel()
    writer:wait()
    local there = file.stat(folder .. "b").size
    if writer:cancelled() then assert.equal(there, writer:error().written) end
    assert(open:write "end") -- goes on there
    assert.equal(there + 3, file.stat(folder .. "b").size)
  end), { deadline = 30 })
end)

describe("folders", function()
  test("are made, listed, walked and removed", inside(function(folder)
    assert.is_true(file.mkdir(folder .. "a/b/c", { parents = true }))
    assert.is_true(file.mkdir(folder .. "a/b/c", { parents = true }))
    assert.equal(17, select(2, file.mkdir(folder .. "a")).code)
    for _, name in ipairs { "z", "Z", "é", "a b", "a/b/f" } do assert(file.write(folder .. name, name)) end
    os.execute("ln -s .. " .. folder .. "a/up")
    assert.same({ "Z", "a", "a b", "z", "é" }, file.list(folder))
    local seen = {}
    for path, kind in file.walk(folder .. "a") do seen[#seen + 1] = path:sub(#folder + 1) .. " " .. kind end
    assert.same({ "a/b folder", "a/b/c folder", "a/b/f file", "a/up link" }, seen)
    assert.error_matches(function() file.walk(folder .. "none")() end, "No such file")
    assert.equal("folder", file.stat(folder .. "a").kind)
    assert.equal(39, select(2, file.remove(folder .. "a")).code)
    assert.is_true(file.rename(folder .. "a/b", folder .. "B"))
    assert.is_true(file.remove(folder .. "a", { recursive = true }))
    assert.is_true(file.remove(folder .. "B", { recursive = true }))
    assert.same({ "Z", "a b", "z", "é" }, file.list(folder)) -- the link was not followed
    assert.equal(2, select(2, file.remove(folder .. "none", { recursive = true })).code)
    assert.is_true(file.remove(folder .. "z"))
  end))

  test("that are temporary remove themselves, also when they are cancelled", function()
    local path, name
    run(function()
      local task = braid.spawn(function()
        local folder <close> = assert(file.temporary { folder = true, prefix = "spec-" })
        local made <close> = assert(file.temporary { parent = folder.path })
        path, name = folder.path, made.path
        assert(made:write "some")
        made:seek "set"
        assert.equal("some", made:read "a")
        braid.sleep(100)
      end)
      repeat braid.sleep(0.001) until name
      task:cancel()
      task:wait()
    end)
    assert.matches("/spec%-[^/]*$", path)
    assert.is_nil((file.stat(name)))
    assert.is_nil((file.stat(path)))
  end)
end)

describe("nothing holds the loop", function()
  test("not a FIFO", inside(function(folder)
    os.execute(("mkfifo %sa"):format(folder))
    local read = braid.spawn(file.read, folder .. "a")
    local write = braid.spawn(function() return file.write(folder .. "a", "through") end)
    assert.is_true(write:result(5))
    assert.equal("through", read:result(5))
    for _, call in ipairs { file.read, file.open, function(path) return file.write(path, "x") end } do
      local mode = call == file.open and "w" or nil
      local task = braid.spawn(call, folder .. "a", mode)
      assert.is_true(longest_gap(function() braid.sleep(0.05) end) < 0.5 * helper.slowness)
      task:cancel()
      assert.is_true(task:wait(2))
      assert.is_true(task:cancelled())
    end
  end))

  test("not a large file", inside(function(folder)
    local data = ("x"):rep(128 << 20)
    local gap = longest_gap(function() assert(file.write(folder .. "a", data)) end)
    assert.is_true(gap < 0.3 * helper.slowness, "the loop stood for " .. gap)
    gap = longest_gap(function() assert(file.copy(folder .. "a", folder .. "b")) end)
    assert.is_true(gap < 0.3 * helper.slowness, "the loop stood for " .. gap)
  end), { deadline = 30 })

  test("not a lock of another program, or of this one", inside(function(folder)
    local one <close> = assert(file.open(folder .. "a", "a"))
    local other <close> = assert(file.open(folder .. "a", "a"))
    assert.is_true(one:lock "exclusive")
    assert.equal("timeout", select(2, other:lock("exclusive", 0)).kind)
    assert.equal("timeout", select(2, other:lock("shared", 0.02)).kind)
    local waits = braid.spawn(other.lock, other, "exclusive")
    assert.equal("1", braid.process.run({ "flock", "-n", folder .. "a", "true" }).code .. "")
    one:unlock()
    assert.is_true(waits:result(2))
    other:unlock()
    assert.equal(0, braid.process.run({ "flock", "-n", folder .. "a", "true" }).code)
    assert.error_matches(function() one:lock "all" end, "bad argument 'kind' to 'lock'")
  end))
end)

describe("changes", function()
  local function told(changes)
    local change = assert(changes:get(5))
    return change.kind .. " " .. change.path:match "[^/]*$" .. (change.from and " " .. change.from:match "[^/]*$" or "")
  end

  test("of a folder are told in order, also in folders below", inside(function(folder)
    file.mkdir(folder .. "old")
    local changes <close> = assert(file.watch(folder, { recursive = true }))
    file.write(folder .. "old/a", "1")
    assert.equal("created a", told(changes))
    assert.equal("modified a", told(changes))
    file.mkdir(folder .. "new")
    assert.equal("created new", told(changes))
    file.write(folder .. "new/b", "1")
    assert.equal("created b", told(changes))
    assert.equal("modified b", told(changes))
    file.rename(folder .. "new", folder .. "newer")
    assert.equal("moved newer new", told(changes))
    file.write(folder .. "newer/c", "")
    local change = assert(changes:get(5))
    assert.same({ kind = "created", path = folder .. "newer/c" }, change)
    file.rename(folder .. "newer/c", os.tmpname())
    assert.equal("deleted c", told(changes))
    file.remove(folder .. "newer", { recursive = true })
    assert.equal("deleted b", told(changes))
    assert.equal("deleted newer", told(changes))
    file.write(folder .. "a", "complete", { atomic = true })
    local seen
    repeat
      seen = told(changes)
      assert.is_nil(seen:find "#") -- the file had no name at first
    until seen:find "^moved a %.braid%-"
    assert.equal("timeout", select(2, changes:get(0.02)).kind)
  end))

  test("of one file are told also when another takes its place", inside(function(folder)
    file.write(folder .. "a", "1")
    local changes <close> = assert(file.watch(folder .. "a"))
    file.write(folder .. "other", "1")
    file.append(folder .. "a", "2")
    assert.same({ kind = "modified", path = folder .. "a" }, changes:get(5))
    file.write(folder .. "a", "3", { atomic = true })
    assert.same({ kind = "modified", path = folder .. "a" }, changes:get(5))
    file.remove(folder .. "a")
    assert.same({ kind = "deleted", path = folder .. "a" }, changes:get(5))
  end))

  test("end with what is watched, and by close", inside(function(folder)
    file.mkdir(folder .. "a")
    local changes <close> = assert(file.watch(folder .. "a"))
    local kinds = braid.spawn(function()
      local list = {}
      for change in changes do list[#list + 1] = change.kind end
      return list
    end)
    braid.sleep(0.01)
    file.remove(folder .. "a")
    assert.same({ "deleted" }, kinds:result(5))
    local others <close> = assert(file.watch(folder))
    local waits = braid.spawn(others.get, others)
    braid.sleep(0.01)
    others:close()
    assert.equal("closed", select(2, waits:result(5)).kind)
    assert.equal(2, select(2, file.watch(folder .. "none")).code)
  end))
end)
