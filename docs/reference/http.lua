-- Examples of the reference: each block runs alone, behind `local braid = require "braid"`. They ask a server of their own.
--@ braid.web.app, braid.http.get
local app = braid.web.app()
app:get("/hello/{name}", function(request) return { hello = request.params.name } end)

braid.run(function()
  local server <close> = assert(app:start { port = 0 })
  local response = assert(braid.http.get(server.url .. "/hello/world"))
  assert(response.status == 200 and response:json().hello == "world")
end)

--@ braid.http.post
local app = braid.web.app()
app:post("/double", function(request) return { value = request:json().value * 2 } end)

braid.run(function()
  local server <close> = assert(app:start { port = 0 })
  local response = assert(braid.http.post(server.url .. "/double", { json = { value = 21 } }))
  assert(response:json().value == 42)
end)

--@ braid.http.session
local app = braid.web.app()
app:get("/status", function() return "fine" end)

braid.run(function()
  local server <close> = assert(app:start { port = 0 })
  local session <close> = braid.http.session { base_url = server.url, timeout = 5 }
  local answers = braid.map(function() return assert(session:get "/status").body end, { 1, 2, 3 })
  assert(answers[3] == "fine")
end)

--@ braid.web.abort
local app = braid.web.app()
app:get("/item/{id:int}", function(request)
  if request.params.id > 100 then braid.web.abort(404, "no such item") end
  return { id = request.params.id }
end)
local client = app:test_client()
assert(client:get("/item/7").status == 200)
assert(client:get("/item/700").status == 404)

--@ braid.web.response
local app = braid.web.app()
app:get("/page", function()
  return braid.web.response { status = 200, headers = { ["Content-Type"] = "text/html" }, body = "<p>hello" }
end)
assert(app:test_client():get("/page").body == "<p>hello")
