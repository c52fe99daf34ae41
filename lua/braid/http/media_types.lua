-- SPDX-License-Identifier: MIT
-- What kind of content a file has, by its name.
local M = {}

local types = {
  avif = "image/avif", bin = "application/octet-stream", css = "text/css", csv = "text/csv", gif = "image/gif",
  gz = "application/gzip", htm = "text/html", html = "text/html", ico = "image/x-icon", jpeg = "image/jpeg",
  jpg = "image/jpeg", js = "text/javascript", json = "application/json", map = "application/json",
  md = "text/markdown", mjs = "text/javascript", mp3 = "audio/mpeg", mp4 = "video/mp4", pdf = "application/pdf",
  png = "image/png", svg = "image/svg+xml", tar = "application/x-tar", txt = "text/plain", wasm = "application/wasm",
  wav = "audio/wav", webm = "video/webm", webp = "image/webp", woff = "font/woff", woff2 = "font/woff2",
  xml = "application/xml", zip = "application/zip",
}

---The media type of a file; "application/octet-stream" where the name does not tell.
---@param name string
---@return string
function M.of(name) return types[(name:match("%.(%w+)$") or ""):lower()] or "application/octet-stream" end

return M
