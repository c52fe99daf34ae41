-- SPDX-License-Identifier: MIT
-- The manual pages: braid(1) from the command's own help, braid(3) from the comments of the public functions.
local commands = require "tools.commands"
local manual = require "tools.manual"

local M = {}

local VERSION = require("braid")._VERSION

local HEAD = [[.\" SPDX-License-Identifier: MIT
.\" Written by `make generated`.
.TH BRAID %d "" "%s" "%s"
]]

-- Text for troff: a backslash and a dash are themselves, and no line begins with a dot.
local function plain(text)
  return (text:gsub("\\", "\\e"):gsub("%-", "\\-"):gsub("^%.", "\\&."):gsub("\n%.", "\n\\&.")
    :gsub("^'", "\\&'"):gsub("\n'", "\n\\&'"))
end

local function verbatim(text) return ".nf\n" .. plain(text) .. "\n.fi\n" end

function M.command()
  local out = { HEAD:format(1, VERSION, "User Commands"), [[
.SH NAME
braid \- run, serve, measure and look at concurrent Lua programs
.SH SYNOPSIS
.B braid
.I COMMAND
.RI [ ARGUMENT ...]
.br
.B braid help
.RI [ COMMAND ]
.br
.B braid \-\-version
.SH DESCRIPTION
The command of the Lua module
.BR braid (3).
It uses the modules that it was installed with.
.SH COMMANDS
]] }
  for _, command in ipairs(commands) do
    out[#out + 1] = (".SS braid %s\n%s.\n.PP\n%s"):format(command.name, plain(command.summary),
      verbatim((command.usage:gsub("\n+$", ""))))
  end
  out[#out + 1] = [[
.SH EXIT STATUS
.TP
.B 0
All went well.
.TP
.B 1
It failed; standard error says why.
.TP
.B 2
The command line was wrong.
.TP
.B 130
Ctrl\-C ended it.
.SH ENVIRONMENT
.TP
.B BRAID_DEBUG
1: steps that hold the loop longer than 0.1 s are named while they run, and tracebacks show every frame.
.TP
.B BRAID_THREADS
How many threads kernels use, and how many workers pools have by default.
.SH SIGNALS
A process in which a loop runs answers SIGQUIT (Ctrl\-\e) on standard error: what each of its tasks and workers does.
.SH SEE ALSO
.BR braid (3),
.BR lua5.4 (1)
]]
  return table.concat(out)
end

-- The first sentence of a comment.
local function brief(text)
  local line = text:gsub("\n", " ")
  return line:match "^(.-[.:]) " or line
end

local function signature(item)
  local words = {}
  for i, parameter in ipairs(item.parameters) do
    words[i] = parameter.optional and parameter.name .. "?" or parameter.name
  end
  return ("%s(%s)"):format(item.shown, table.concat(words, ", "))
end

local function add_items(out, items)
  for _, item in ipairs(items) do
    out[#out + 1] = (".TP\n.B %s\n%s\n"):format(plain(signature(item)), plain(brief(item.text)))
  end
end

function M.module()
  local out = { HEAD:format(3, VERSION, "Lua Modules"), [[
.SH NAME
braid \- concurrency and parallelism for Lua 5.4 behind one interface
.SH SYNOPSIS
.B local braid = require "braid"
.SH DESCRIPTION
Tasks on one event loop, pools of threads and processes, queues and locks that are the same for all of them, an HTTP
client, a web server, clients for databases, and parallel kernels. The module starts nothing by being loaded: no thread,
no socket, no signal handler. Times are seconds. A question mark marks an argument that may be left out. What the world
refuses is returned as nil and an error; misuse is raised. An error has the fields kind and message.
.PP
Each function is explained in full in the manual that `make docs` writes, and in the file for editors,
.IR share/braid/types/braid.lua .
]] }
  for _, chapter in ipairs(manual.chapters) do
    out[#out + 1] = (".SH %s\n"):format(plain(chapter.title:upper()))
    for _, section in ipairs(chapter.sections) do
      add_items(out, section.items)
      for _, class in ipairs(section.classes) do add_items(out, class.items) end
    end
  end
  out[#out + 1] = ".SH SEE ALSO\n.BR braid (1),\n.BR lua5.4 (1)\n"
  return table.concat(out)
end

return M
