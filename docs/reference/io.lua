-- Examples of the reference: each block runs alone, behind `local braid = require "braid"`.
--@ braid.process.run
local result = assert(braid.process.run({ "sort" }, { stdin = "b\na\n" }))
assert(result.code == 0 and result.stdout == "a\nb\n")

--@ braid.process.start
local child <close> = assert(braid.process.start { "cat" })
child:write "a line\n"
assert(child:read "l" == "a line")
child:close_stdin()
assert(child:wait().code == 0)

--@ braid.net.listen, braid.net.connect
braid.run(function()
  local listener <close> = assert(braid.net.listen("127.0.0.1", 0))
  braid.spawn(function()
    local stream <close> = assert(listener:accept())
    stream:write(stream:read "l" .. "!\n")
  end)
  local stream <close> = assert(braid.net.connect("127.0.0.1", listener.port, { timeout = 5 }))
  stream:write "hello\n"
  assert(stream:read("l", 5) == "hello!")
end)

--@ braid.net.udp
local receiver <close> = assert(braid.net.udp("127.0.0.1", 0))
local sender <close> = assert(braid.net.udp())
local _, port = receiver:address()
assert(sender:send("ping", "127.0.0.1", port))
assert(receiver:receive(5) == "ping")

--@ braid.net.resolve
local list = assert(braid.net.resolve "127.0.0.1")
assert(list[1].address == "127.0.0.1" and list[1].family == "inet")

--@ braid.signals
braid.run(function()
  local signals <close> = braid.signals("HUP", "USR1")
  braid.process.run { "sh", "-c", "kill -HUP $PPID" }
  assert(signals:get(5) == "HUP")
end)

--@ braid.file.read, braid.file.write
local folder <close> = assert(braid.file.temporary { folder = true })
local path = folder.path .. "/settings.json"
assert(braid.file.write(path, "{}", { atomic = true }))   -- whole, or the old file
assert(braid.file.read(path) == "{}")

--@ braid.file.list, braid.file.mkdir, braid.file.walk
local folder <close> = assert(braid.file.temporary { folder = true })
assert(braid.file.mkdir(folder.path .. "/a/b", { parents = true }))
assert(braid.file.list(folder.path)[1] == "a")
local count = 0
for _ in braid.file.walk(folder.path) do count = count + 1 end
assert(count >= 2)

--@ braid.file.stat
assert(braid.file.stat("/").kind == "folder")

--@ braid.json.encode, braid.json.decode
local text = braid.json.encode { id = 9007199254740993, tags = braid.json.array {} }
assert(text:find '"tags":%[%]')
assert(braid.json.decode(text).id == 9007199254740993)    -- all digits

--@ braid.json.array
assert(braid.json.encode {} == "{}")
assert(braid.json.encode(braid.json.array {}) == "[]")
