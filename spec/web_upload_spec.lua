-- SPDX-License-Identifier: MIT
-- Large forms of web applications: they are read while they come although their route says nothing of it; with flat
-- memory, and as fast as the disk.
local expect = require "spec.expect"
local helper = require "spec.helper"
local web_server = require "spec.web_server"
local braid = require "braid"
local test = helper.test
local serving = web_server.serving
local web = braid.web

local KIND = "multipart/form-data; boundary=XX"
local BIG = ("0123456789abcdef"):rep(100000) -- 1.6 MB

local function file_part(name, content)
  return ('--XX\r\nContent-Disposition: form-data; name="%s"; filename="%s"\r\n\r\n%s\r\n'):format(name, name, content)
end

local FORM = file_part("a", BIG) .. file_part("b", BIG)
  .. '--XX\r\nContent-Disposition: form-data; name="title"\r\n\r\nsea\r\n--XX--\r\n'

local function head(path, more)
  return ("POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\n%s\r\n"):format(path, KIND,
    more or ("Content-Length: %d\r\n"):format(#FORM))
end

local function status_of(stream)
  local answer = stream:read_until "\r\n\r\n"
  local length = tonumber(answer and answer:match "[Cc]ontent%-[Ll]ength: (%d+)")
  return tonumber(answer and answer:match "^HTTP/1.1 (%d+)"), length and stream:read(length)
end

local function sizes_of(request)
  local sizes = {}
  for file in request:files() do sizes[file.name] = #file:read() end
  return sizes
end

describe("a large form", function()
  local state

  local function prepare(app)
    state = { begun = {} }
    app:use(function(request, next_handler)
      state.begun[request.path] = true
      return next_handler(request)
    end)
    local spec = { max_body = 64 << 20 }
    app:post("/sizes", spec, function(request) return { sizes = sizes_of(request), fields = request:form() } end)
    app:post("/fields", spec, function(request)
      local fields = request:form()
      return { fields = fields, sizes = sizes_of(request), again = sizes_of(request), size = #request.body }
    end)
    app:post("/first", spec, function(request) return request:files()().name end)
    app:post("/nothing", spec, function() return "nothing" end)
    app:post("/refused", spec, function() web.abort(401) end)
    app:post("/twice", spec, function(request)
      sizes_of(request)
      return { files = tostring(select(2, pcall(request.files, request))),
        body = tostring(select(2, pcall(function() return request.body end))), fields = request:form() }
    end)
    app:post("/whole", { max_body = 64 << 20, stream_body = false }, sizes_of)
    app:post("/timed", { max_body = 64 << 20, timeout = 60 }, sizes_of)
    app:post("/counted", { max_body = 64 << 20, concurrency = 1 }, sizes_of)
    app:post("/checked", { max_body = 64 << 20, form = { title = "string", a = { "string", format = "binary" } } },
      function(request) return { title = request.valid.form.title, sizes = sizes_of(request) } end)
    app:post("/small", sizes_of)
    app:get("/", function() return "here" end)
  end

  -- Sends half of the form, and tells whether its handler begins; then the rest.
  local function begins_early(server, path, session)
    local stream <close> = web_server.connect(server)
    assert(stream:write(head(path) .. FORM:sub(1, 2000000)))
    local early = path ~= "/whole" and path ~= "/timed" and path ~= "/counted"
    if early then expect.eventually(function() return state.begun[path] end) end
    for _ = 1, 5 do assert.equal("here", session:get("/").body) end
    assert.equal(early, state.begun[path] or false)
    assert(stream:write(FORM:sub(2000001)))
    local status, body = status_of(stream)
    assert.equal(200, status)
    local answer = braid.json.decode(body)
    assert.same({ a = #BIG, b = #BIG }, answer.sizes or answer)
    assert(stream:write "GET / HTTP/1.1\r\nHost: x\r\n\r\n") -- the connection goes on
    assert.same({ 200, "here" }, { status_of(stream) })
  end

  test("is read while it comes", serving(prepare, function(session, _, server)
    begins_early(server, "/sizes", session)
    local answer = assert(session:post("/sizes", { body = FORM, headers = { ["Content-Type"] = KIND } })):json()
    assert.same({ sizes = { a = #BIG, b = #BIG }, fields = { title = "sea" } }, answer)
  end), { deadline = 30 })

  test("is read before its handler where the time or the number of handlers is limited",
    serving(prepare, function(session, _, server)
      for _, path in ipairs { "/whole", "/timed", "/counted" } do begins_early(server, path, session) end
    end), { deadline = 30 })

  test("can be asked for its fields first, as small ones can", serving(prepare, function(session)
    local sizes = { a = #BIG, b = #BIG }
    local function answer_of(path)
      return assert(session:post(path, { body = FORM, headers = { ["Content-Type"] = KIND } })):json()
    end
    assert.same({ fields = { title = "sea" }, sizes = sizes, again = sizes, size = #FORM }, answer_of "/fields")
    assert.same({ title = "sea", sizes = sizes }, answer_of "/checked")
    local twice = answer_of "/twice"
    assert.same({ title = "sea" }, twice.fields)
    expect.contains(twice.files, "can be asked for once")
    expect.contains(twice.body, "read already")
  end), { deadline = 30 })

  test("that is not read to its end is dropped before the answer, unless it is refused",
    serving(prepare, function(session, _, server)
      for path, text in pairs { ["/first"] = "a", ["/nothing"] = "nothing" } do
        local stream <close> = web_server.connect(server)
        assert(stream:write(head(path) .. FORM .. head(path, "Transfer-Encoding: chunked\r\n")))
        assert.same({ 200, text }, { status_of(stream) })
        assert(stream:write(("%x\r\n%s\r\n0\r\n\r\n"):format(#FORM, FORM)))
        assert.same({ 200, text }, { status_of(stream) })
      end
      local stream <close> = web_server.connect(server)
      assert(stream:write(head "/refused"))
      assert.equal(401, (status_of(stream)))
      local stream_of_size <close> = web_server.connect(server)
      assert(stream_of_size:write(head "/small"))
      assert.equal(413, (status_of(stream_of_size)))
      local answer = assert(session:post("/nothing", { body = FORM, headers = { ["Content-Type"] = KIND } }))
      assert.equal("nothing", answer.body)
    end), { deadline = 30 })

  test("ends its handler when the client leaves", serving(function(app)
    app:post("/", { max_body = 1 << 30 }, function(request)
      local ok, err = pcall(sizes_of, request)
      state = { ok = ok, err = err }
      error(err, 0)
    end)
  end, function(_, _, server)
    state = nil
    local stream = web_server.connect(server)
    assert(stream:write(head "/" .. FORM:sub(1, 1000000)))
    stream:close()
    expect.eventually(function() return state ~= nil end)
    assert.equal("cancelled", state.err.kind)
  end), { deadline = 30 })

  for _, protocol in ipairs { "--http1.1", "--http2-prior-knowledge" } do
    test("comes by curl " .. protocol, serving(prepare, function(_, _, server)
      local path <close> = assert(braid.file.temporary())
      assert(path:write(BIG))
      local result = assert(braid.process.run { "curl", "-s", protocol, "-F", "a=@" .. path.path, "-F", "title=sea",
        server.url .. "/sizes" })
      assert.same({ sizes = { a = #BIG }, fields = { title = "sea" } }, braid.json.decode(result.stdout))
    end), { deadline = 30 })
  end
end)

-- The peak of this process's memory since `reset_peak`, in MiB.
local function peak() return tonumber(io.open("/proc/self/status"):read "a":match "VmHWM:%s*(%d+)") >> 10 end

local function reset_peak()
  collectgarbage()
  local file = io.open("/proc/self/clear_refs", "w")
  if not file or not file:write "5" or not file:close() then return nil end
  return peak()
end

describe("an upload of 128 MiB", function()
  local SIZE = 128 << 20

  local function seconds_of(fn)
    local began = braid.now()
    fn()
    return braid.now() - began
  end

  local function prepare(app)
    app:post("/count", { max_body = 1 << 30, stream_body = true }, function(request)
      local size = 0
      for piece in request:chunks() do size = size + #piece end
      return tostring(size)
    end)
    app:post("/save", { max_body = 1 << 30 }, function(request)
      return tostring(request:files()():save(request.query.to))
    end)
  end

  test("needs flat memory, and little more time than the client and a copy",
    serving(prepare, function(_, _, server)
      local folder <close> = assert(braid.file.temporary { folder = true })
      local source, target = folder.path .. "/source", folder.path .. "/target"
      assert.equal(0, braid.process.run { "truncate", "-s", tostring(SIZE), source }.code)
      local function curl(...)
        local result = braid.process.run { "curl", "-s", ... }
        assert.equal(tostring(SIZE), result.stdout)
      end
      local before = reset_peak()
      local counting = seconds_of(function() curl("-T", source, "-X", "POST", server.url .. "/count") end)
      local copying = seconds_of(function()
        braid.process.run { "cp", "--sparse=never", source, folder.path .. "/copy" }
      end)
      local saving = seconds_of(function() curl("-F", "f=@" .. source, server.url .. "/save?to=" .. target) end)
      assert.equal(SIZE, braid.file.stat(target).size)
      if before and helper.slowness == 1 then -- a sanitizer's own memory is not flat
        assert.is_true(peak() - before < 48, ("%d MiB, %d before"):format(peak(), before))
      end
      assert.is_true(saving < 6 * (counting + copying),
        ("%.2f s to save, %.2f s to count, %.2f s to copy"):format(saving, counting, copying))
    end), { deadline = 60 })
end)
