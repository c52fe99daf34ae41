-- SPDX-License-Identifier: MIT
-- An array, or a file, beyond the limit for the size of files (ulimit -f) ended the process by SIGXFSZ.
local helper = require "spec.helper"

local function under_limit(code)
  local out, err, status = helper.lua_process([[
    local braid = require "braid"
    local function write()
      local file <close> = io.tmpfile()
      local ok, why, code = file:write(("x"):rep(500000))
      if ok then ok, why, code = file:flush() end
      return ok, why, code
    end
  ]] .. code, { limits = "-f 200" })
  assert.same({ "", 0 }, { err, status })
  return out
end

describe("beyond the limit of files", function()
  helper.test("an array is an error with the system's reason, a smaller one is made", function()
    assert.equal("false\tsystem\tarray of 1000000 x f64: File too large\nright\t55.0\n", under_limit [[
      local ok, err = pcall(braid.array, "f64", 1000000)
      print(ok, err.kind, err.message:match "array.*")
      local array = braid.array("f64", { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 })
      local pool <close> = braid.process_pool(1)
      local sum = pool:submit(function(a)
        local sum = 0
        for i = 1, #a do sum = sum + a[i] end
        return sum
      end, array):result()
      print("right", sum)
    ]])
  end)

  helper.test("a file is an error for who writes it: script, thread, process", function()
    assert.equal(("nil\tFile too large\t27\n"):rep(3), under_limit [[
      local threads <close> = braid.thread_pool(1)
      print(write())
      local processes <close> = braid.process_pool(1)
      print(threads:submit(write):result())
      print(processes:submit(write):result())
    ]])
  end)

  helper.test("an array made in a worker process fails its job alone", function()
    assert.equal("false\tsystem\n7\n", under_limit [[
      local pool <close> = braid.process_pool(1)
      local ok, err = pcall(function()
        return pool:submit(function() return require "braid".array("f64", 1000000) end):result()
      end)
      print(ok, err.kind)
      print(pool:submit(function() return 7 end):result())
    ]])
  end)

  helper.test("programs are ended as ever", function()
    assert.equal("exit\t153\n", under_limit [[
      local _, how, status = os.execute "exec 2>&-; f=$(mktemp); head -c 500000 /dev/zero > $f; s=$?; rm $f; exit $s"
      print(how, status)
    ]])
  end)
end)
