-- Examples of the reference: each block runs alone, behind `local braid = require "braid"`.
--@ braid.web.Routes:post
local app = braid.web.app()
app:post("/items", {
  query = { dry_run = { "boolean", default = false } },
  body = { name = { "string", min = 1 }, price = { "number", min = 0 } },
  status = 201,
}, function(request)
  return { name = request.valid.body.name, dry_run = request.valid.query.dry_run }
end)
local client = app:test_client()
assert(client:post("/items", { json = { name = "Hammer", price = 12 } }).status == 201)
local refusal = client:post("/items", { json = { name = "", price = 12 } })
assert(refusal.status == 422 and refusal:json().errors[1].at == "/body/name")

--@ braid.web.App:openapi
local app = braid.web.app()
app:openapi { title = "Shop", version = "1.0" }
app:get("/items", { summary = "All items", response = { "array", items = "string" } }, function() return { "a" } end)
local document = app:test_client():get("/openapi.json"):json()
assert(document.paths["/items"].get.summary == "All items")

--@ braid.web.Request:files, braid.web.Part:read
local app = braid.web.app()
app:post("/upload", function(request)
  local sizes = {}
  for file in request:files() do sizes[file.filename] = #file:read() end
  return sizes
end)
local answer = app:test_client():post("/upload", { multipart = {
  { name = "photo", filename = "sea.jpg", body = ("x"):rep(1000) },
} })
assert(answer:json()["sea.jpg"] == 1000)

--@ braid.web.Request:form
local app = braid.web.app()
app:post("/order", function(request)
  local form = request:form()
  return { user = form.user, items = #form.item } -- a repeated field is a list
end)
local answer = app:test_client():post("/order", { form = { user = "ada", item = { "tea", "milk" } } })
assert(answer:json().items == 2)

--@ braid.web.compress
local app = braid.web.app()
app:use(braid.web.compress())
app:get("/", function() return ("text "):rep(1000) end)
local answer = app:test_client():get("/", { headers = { ["Accept-Encoding"] = "gzip" } })
assert(answer.headers["Content-Encoding"] == "gzip" and #answer.body < 200)
