-- SPDX-License-Identifier: MIT
-- The style of the page of an application's documents.
return [[
:root {
  color-scheme: light dark;
  --ground: #f6f7f9; --card: #ffffff; --ink: #1b2230; --soft: #5b6577; --line: #dfe3ea; --field: #ffffff;
  --accent: #2f5fd0; --accent-ink: #ffffff; --code: #f0f2f6; --good: #157347; --bad: #b42318; --mark: #fff3c4;
  --get: #1f6feb; --post: #1a7f43; --put: #9a6700; --patch: #8250df; --delete: #c22b2b; --options: #57606a;
}
:root[data-theme="dark"] {
  color-scheme: dark;
  --ground: #10141b; --card: #181e28; --ink: #e6eaf2; --soft: #98a3b6; --line: #2b3442; --field: #10151d;
  --accent: #6b9bff; --accent-ink: #0c1220; --code: #10151d; --good: #57c98a; --bad: #ff8a80; --mark: #4a3f14;
  --get: #5b9dff; --post: #4cc38a; --put: #e0b33c; --patch: #b794f6; --delete: #ff7b72; --options: #98a3b6;
}
:root[data-theme="light"] { color-scheme: light; }
* { box-sizing: border-box; }
html { scroll-padding-top: 5rem; }
body {
  margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
input, select, textarea, button { font: inherit; color: inherit; }
code, pre, textarea, .path, .type {
  font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
header {
  position: sticky; top: 0; z-index: 2; display: flex; gap: .75rem; align-items: center; flex-wrap: wrap;
  padding: .6rem 1.25rem; background: var(--card); border-bottom: 1px solid var(--line);
}
header h1 { font-size: 1.05rem; margin: 0; }
header .version { color: var(--soft); font-size: .8rem; border: 1px solid var(--line); border-radius: 99px;
  padding: 0 .55rem; }
header .space { flex: 1; }
header input { width: 15rem; }
a { color: var(--accent); text-decoration: none; }
a:hover { text-decoration: underline; }
.layout { display: grid; grid-template-columns: 17rem minmax(0, 1fr); max-width: 84rem; margin: 0 auto; }
nav { position: sticky; top: 3.6rem; align-self: start; max-height: calc(100vh - 3.6rem); overflow: auto;
  padding: 1.25rem .5rem 2rem 1.25rem; font-size: .86rem; }
nav h2 { font-size: .72rem; letter-spacing: .06em; text-transform: uppercase; color: var(--soft);
  margin: 1rem 0 .3rem; }
nav h2:first-child { margin-top: 0; }
nav a { display: flex; gap: .5rem; align-items: baseline; padding: .2rem .4rem; border-radius: 6px; color: inherit; }
nav a:hover { background: var(--code); text-decoration: none; }
nav .path { overflow-wrap: anywhere; font-size: .8rem; }
main { padding: 1.25rem; min-width: 0; }
.about { color: var(--soft); white-space: pre-wrap; margin: 0 0 1rem; }
main > h2 { font-size: 1.1rem; margin: 1.6rem 0 .6rem; }
main > h2:first-of-type { margin-top: 0; }
.operation { background: var(--card); border: 1px solid var(--line); border-radius: 10px; margin-bottom: .7rem;
  border-left: 4px solid var(--tone); }
.operation > summary { display: flex; gap: .75rem; align-items: center; padding: .65rem .9rem; cursor: pointer;
  list-style: none; flex-wrap: wrap; }
.operation > summary::-webkit-details-marker { display: none; }
.operation > summary::after { content: "+"; margin-left: auto; color: var(--soft); font-size: 1.15rem; line-height: 1; }
.operation[open] > summary::after { content: "\2212"; }
.operation > summary:focus-visible, a:focus-visible, button:focus-visible {
  outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 8px;
}
.method { color: var(--tone); font-weight: 700; font-size: .74rem; letter-spacing: .04em; min-width: 3.4rem; }
nav .method { min-width: 3.2rem; font-size: .66rem; }
.operation .path { font-weight: 600; overflow-wrap: anywhere; }
.operation .what { color: var(--soft); }
.deprecated .path { text-decoration: line-through; }
.get { --tone: var(--get); } .post { --tone: var(--post); } .put { --tone: var(--put); }
.patch { --tone: var(--patch); } .delete { --tone: var(--delete); } .options { --tone: var(--options); }
.content { padding: .2rem 1rem 1rem; border-top: 1px solid var(--line); }
.content h3 { font-size: .8rem; text-transform: uppercase; letter-spacing: .05em; color: var(--soft);
  margin: 1.1rem 0 .5rem; }
.description { white-space: pre-wrap; margin: .8rem 0 0; }
.columns { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 0 2rem; }
.field { display: grid; grid-template-columns: minmax(8rem, 13rem) minmax(0, 1fr); gap: .15rem 1rem; padding: .4rem 0;
  align-items: start; }
.field + .field { border-top: 1px solid var(--line); }
.field .name { font-weight: 600; overflow-wrap: anywhere; }
.field .required::after { content: " *"; color: var(--bad); }
.hint { color: var(--soft); font-size: .8rem; overflow-wrap: anywhere; }
input, select, textarea { width: 100%; background: var(--field); border: 1px solid var(--line); border-radius: 7px;
  padding: .35rem .55rem; }
input:focus, select:focus, textarea:focus { outline: 2px solid var(--accent); outline-offset: -1px;
  border-color: transparent; }
textarea { font-size: .85rem; line-height: 1.45; resize: vertical; min-height: 3rem; }
input.wrong, textarea.wrong, select.wrong { border-color: var(--bad); outline-color: var(--bad); }
.wrong-text { color: var(--bad); font-size: .82rem; }
button { border: 1px solid var(--line); background: var(--card); border-radius: 7px; padding: .35rem .8rem;
  cursor: pointer; }
button:hover { border-color: var(--accent); }
button.send { background: var(--accent); border-color: var(--accent); color: var(--accent-ink); font-weight: 600;
  padding: .4rem 1.4rem; }
button:disabled { opacity: .6; cursor: progress; }
.actions { display: flex; gap: .6rem; margin-top: .9rem; flex-wrap: wrap; align-items: center; }
pre { margin: .4rem 0 0; background: var(--code); border: 1px solid var(--line); border-radius: 8px;
  padding: .7rem .8rem; overflow: auto; max-height: 26rem; font-size: .82rem; line-height: 1.45; }
pre.wrap { white-space: pre-wrap; overflow-wrap: anywhere; }
.status { font-weight: 700; }
.status.good { color: var(--good); } .status.bad { color: var(--bad); }
.answer { margin-top: 1rem; border-top: 1px dashed var(--line); padding-top: .4rem; }
.schema { font-size: .86rem; }
.schema ul { list-style: none; margin: 0; padding-left: .9rem; border-left: 1px solid var(--line); }
.schema li { padding: .12rem 0; }
.schema .name { font-weight: 600; } .schema .optional { font-weight: 400; }
.type { color: var(--accent); font-size: .82rem; }
.responses > div { padding: .35rem 0; }
.responses > div + div { border-top: 1px solid var(--line); }
.failure { background: var(--mark); border-radius: 8px; padding: .8rem 1rem; }
.menu { display: none; }
@media (max-width: 60rem) {
  .layout { grid-template-columns: minmax(0, 1fr); }
  nav { display: none; position: static; max-height: none; padding: 1rem 1.25rem 0; }
  nav.shown { display: block; }
  .menu { display: inline-block; }
  .columns { grid-template-columns: minmax(0, 1fr); }
}
@media (max-width: 40rem) {
  html { scroll-padding-top: .5rem; }
  header { position: static; padding: .5rem .8rem; gap: .5rem; }
  header button { padding: .25rem .6rem; }
  header input { width: 100%; order: 9; }
  main { padding: .8rem; }
  .content { padding: .2rem .8rem .9rem; }
  .field { grid-template-columns: minmax(0, 1fr); }
  .operation > summary { gap: .4rem .6rem; }
  .operation .what { flex-basis: 100%; font-size: .88rem; }
  .operation > summary::after { position: absolute; right: 1.6rem; }
}
@media (prefers-reduced-motion: no-preference) { html { scroll-behavior: smooth; } }
]]
