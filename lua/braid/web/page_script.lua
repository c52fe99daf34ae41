-- SPDX-License-Identifier: MIT
-- The script of the page of an application's documents: it draws what /openapi.json says, and tries it out. All that
-- comes from there, and from answers, becomes text and never HTML.
return [[
"use strict";
const byId = (id) => document.getElementById(id);
const METHODS = ["get", "post", "put", "patch", "delete", "options"];
let doc;

function make(tag, options, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(options || {})) {
    if (name === "on") for (const [event, fn] of Object.entries(value)) node.addEventListener(event, fn);
    else if (name === "class") node.className = value;
    else if (value === true) node.setAttribute(name, "");
    else if (value !== undefined && value !== null && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== undefined && child !== null && child !== ""));
  return node;
}

// ---- schemas ----------------------------------------------------------------------------------------------------

function resolve(schema) {
  let seen = 0;
  while (schema && schema.$ref && seen++ < 20) {
    const keys = schema.$ref.slice(2).split("/").map((key) => key.replace(/~1/g, "/").replace(/~0/g, "~"));
    schema = keys.reduce((at, key) => at && at[key], doc);
  }
  const found = alternatives(schema);
  return found.length === 1 ? resolve(found[0]) : schema || {};
}

// Those of a union, without null.
function alternatives(schema) {
  return ((schema && schema.anyOf) || []).filter((each) => each.type !== "null");
}

const typeOf = (schema) => [].concat(schema.type || "any").find((type) => type !== "null") || "null";

function typeText(raw) {
  const schema = resolve(raw), type = typeOf(schema), union = alternatives(schema);
  if (union.length) return union.map(typeText).join(" or ");
  let text = type === "array" ? "array of " + typeText(schema.items || {}) : schema.title || type;
  if (schema.format) text += " (" + schema.format + ")";
  return text;
}

function limits(schema) {
  const list = [];
  const range = (least, most, unit) => {
    if (least !== undefined && most !== undefined) list.push(least + " to " + most + unit);
    else if (least !== undefined) list.push("at least " + least + unit);
    else if (most !== undefined) list.push("at most " + most + unit);
  };
  range(schema.minimum, schema.maximum, "");
  range(schema.minLength, schema.maxLength, " characters");
  range(schema.minItems, schema.maxItems, " items");
  if (schema.enum) list.push("one of " + schema.enum.filter((value) => value !== null).map(String).join(", "));
  if (schema.pattern || schema["x-lua-pattern"]) list.push("pattern " + (schema.pattern || schema["x-lua-pattern"]));
  if (schema.default !== undefined) list.push("default " + JSON.stringify(schema.default));
  return list.join("; ");
}

const SAMPLES = { date: "2026-01-31", time: "12:00:00Z", "date-time": "2026-01-31T12:00:00Z", email: "ada@example.org",
  uuid: "123e4567-e89b-12d3-a456-426614174000", uri: "urn:isbn:0451450523", ipv4: "192.0.2.1", ipv6: "2001:db8::1",
  hostname: "example.org", byte: "aGVsbG8=" };

function sample(raw, depth) {
  const schema = resolve(raw), type = typeOf(schema);
  if (schema.examples && schema.examples.length) return schema.examples[0];
  if (schema.default !== undefined) return schema.default;
  if (schema.enum) return schema.enum[0];
  if (schema.anyOf) return sample(alternatives(schema)[0], depth);
  if (depth > 6) return null;
  if (type === "object") {
    const value = {};
    for (const [name, field] of Object.entries(schema.properties || {})) value[name] = sample(field, depth + 1);
    return value;
  }
  if (type === "array") return schema.items && depth < 4 ? [sample(schema.items, depth + 1)] : [];
  if (type === "integer" || type === "number") return schema.minimum ?? Math.min(0, schema.maximum ?? 0);
  if (type === "boolean") return true;
  if (type === "string" && SAMPLES[schema.format]) return SAMPLES[schema.format];
  if (type === "string") return "text".padEnd(schema.minLength || 0, "x").slice(0, schema.maxLength);
  return null;
}

// Each alternative that has fields, with its name.
function unionTree(union, depth) {
  const list = make("ul");
  for (const each of union) {
    const tree = schemaTree(each, depth);
    if (tree.childElementCount) list.append(make("li", {}, make("span", { class: "type" }, typeText(each)), tree));
  }
  return list;
}

function schemaTree(raw, depth) {
  const schema = resolve(raw), list = make("ul");
  const inner = typeOf(schema) === "array" ? resolve(schema.items) : schema;
  if (inner.anyOf) return unionTree(alternatives(inner), depth + 1);
  const required = inner.required || [];
  for (const [name, field] of Object.entries(inner.properties || {})) {
    const target = resolve(field), must = required.includes(name);
    const item = make("li", {}, make("span", { class: must ? "name" : "name optional" }, name + (must ? "" : "?")), " ",
      make("span", { class: "type" }, typeText(field)), " ",
      make("span", { class: "hint" }, [target.description, limits(target)].filter(Boolean).join(" · ")));
    const below = typeOf(target) === "array" ? resolve(target.items) : target;
    if ((below.properties || below.anyOf) && depth < 5) item.append(schemaTree(below, depth + 1));
    list.append(item);
  }
  return list;
}

function schemaView(raw) {
  const view = make("div", { class: "schema" }, make("span", { class: "type" }, typeText(raw)), " ",
    make("span", { class: "hint" }, limits(resolve(raw))));
  const tree = schemaTree(raw, 0);
  if (tree.childElementCount) view.append(tree);
  return view;
}

// ---- inputs -----------------------------------------------------------------------------------------------------

// An input for a value; `read` gives a list of texts or files, empty when there is none.
function control(raw, name) {
  const schema = resolve(raw), type = typeOf(schema);
  const initial = schema.examples ? String(schema.examples[0]) : "";
  if (type === "array" && resolve(schema.items).format !== "binary") {
    const area = make("textarea", { name, rows: 2, placeholder: "one value in each line", "aria-label": name });
    return { node: area, read: () => area.value.split("\n").filter((line) => line !== "") };
  }
  if (schema.format === "binary" || type === "array") {
    const file = make("input", { type: "file", name, multiple: type === "array", "aria-label": name });
    return { node: file, read: () => [...file.files] };
  }
  const options = schema.enum || (type === "boolean" ? [true, false] : null);
  if (options) {
    const select = make("select", { name, "aria-label": name }, make("option", { value: "" }, "—"),
      ...options.filter((option) => option !== null).map((option) => make("option", {}, String(option))));
    select.value = initial;
    return { node: select, read: () => (select.value === "" ? [] : [select.value]) };
  }
  const numeric = type === "integer" || type === "number";
  const input = make("input", { name, type: schema.format === "password" ? "password" : "text", "aria-label": name,
    inputmode: numeric ? "decimal" : null, autocomplete: "off",
    placeholder: schema.default === undefined ? typeText(schema) : String(schema.default) });
  input.value = initial;
  return { node: input, read: () => (input.value === "" ? [] : [input.value]) };
}

function fieldRow(name, raw, must, note, at) {
  const schema = resolve(raw), entry = control(raw, name);
  entry.name = name;
  entry.at = at;
  entry.wrong = make("div", { class: "wrong-text", hidden: true });
  entry.row = make("div", { class: "field" },
    make("div", {}, make("span", { class: must ? "name required" : "name" }, name), " ",
      make("div", { class: "hint" }, typeText(raw) + (note ? " · " + note : ""))),
    make("div", {}, entry.node, make("div", { class: "hint" },
      [schema.description, limits(schema)].filter(Boolean).join(" · ")), entry.wrong));
  return entry;
}

const PLACES = { path: "params", query: "query", header: "headers" };

function parameterRows(operation) {
  return (operation.parameters || []).map((parameter) => {
    const note = parameter.in === "query" ? "" : parameter.in;
    const name = parameter.name;
    const entry = fieldRow(name, parameter.schema, parameter.required, note,
      "/" + PLACES[parameter.in] + "/" + name.replace(/~/g, "~0").replace(/\//g, "~1"));
    if (parameter.description) entry.row.lastChild.append(make("div", { class: "hint" }, parameter.description));
    entry.place = parameter.in;
    entry.rest = parameter["x-rest"];
    return entry;
  });
}

// Keys that the Authorization field and cookies do not give.
function keyRows(operation) {
  const schemes = (doc.components || {}).securitySchemes || {};
  return (operation.security || []).flatMap((each) => Object.keys(each)).filter((name) => {
    const scheme = schemes[name] || {};
    return scheme.type === "apiKey" && scheme.in !== "cookie";
  }).map((name) => {
    const { name: field, in: place } = schemes[name];
    const entry = fieldRow(field, { type: "string", format: "password" }, false, name, "/security/" + name);
    entry.place = place;
    return entry;
  });
}

function bodyInput(operation) {
  const content = (operation.requestBody || {}).content;
  if (!content) return null;
  const json = content["application/json"];
  if (json) {
    const area = make("textarea", { name: "body", "aria-label": "body", spellcheck: "false" });
    area.value = JSON.stringify(sample(json.schema, 0), null, 2);
    area.rows = Math.min(18, area.value.split("\n").length + 1);
    const wrong = make("div", { class: "wrong-text", hidden: true });
    return { node: make("div", {}, area, wrong), schema: json.schema, rows: [], area, wrong, at: "/body",
      read: (headers) => { if (area.value.trim()) headers["Content-Type"] = "application/json"; return area.value; } };
  }
  const schema = resolve(Object.values(content)[0].schema);
  const rows = Object.entries(schema.properties || {}).map(([name, field]) =>
    fieldRow(name, field, (schema.required || []).includes(name), "", "/form/" + name));
  const files = rows.some((row) => row.node.type === "file");
  return { node: make("div", {}, ...rows.map((row) => row.row)), rows, read: () => {
    const form = files ? new FormData() : new URLSearchParams();
    for (const row of rows) for (const value of row.read()) form.append(row.name, value);
    return form;
  } };
}

// ---- trying it out ----------------------------------------------------------------------------------------------

function buildRequest(method, path, rows, body) {
  const query = new URLSearchParams(), headers = {};
  const token = byId("authorization").value.trim();
  if (token) headers.Authorization = token;
  let target = path;
  for (const row of rows) {
    const values = row.read();
    if (row.place === "path") {
      const whole = row.rest ? (values[0] ?? "").split("/") : [values[0] ?? ""];
      target = target.replace("{" + row.name + "}", () => whole.map(encodeURIComponent).join("/"));
    }
    else if (row.place === "query") values.forEach((value) => query.append(row.name, value));
    else if (values.length) headers[row.name] = values.join(", ");
  }
  const text = query.toString(), options = { method: method.toUpperCase(), headers };
  if (body) options.body = body.read(headers);
  if (options.body === "") delete options.body;
  const base = ((doc.servers || [])[0] || {}).url || document.documentElement.dataset.base;
  return { url: base.replace(/\/$/, "") + target + (text ? "?" + text : ""), options };
}

const quote = (text) => "'" + text.replace(/'/g, "'\\''") + "'";

function curlText(request) {
  const words = ["curl"], { method, headers, body } = request.options;
  if (method !== "GET") words.push("-X " + method);
  for (const [name, value] of Object.entries(headers)) words.push("-H " + quote(name + ": " + value));
  if (typeof body === "string") words.push("--data " + quote(body));
  else if (body) {
    for (const [name, value] of body.entries()) {
      words.push((body instanceof FormData ? "-F " : "--data-urlencode ") +
        quote(name + "=" + (typeof value === "string" ? value : "@" + value.name)));
    }
  }
  words.push(quote(new URL(request.url, location.href).href));
  return words.join(" ");
}

async function bodyText(response) {
  const type = response.headers.get("content-type") || "";
  if (/json/.test(type)) {
    const text = await response.text();
    // numbers beyond 2^53 would be rounded by a parse
    try { return /\d{16,}/.test(text) ? text : JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
  }
  if (/^text\/|xml|javascript/.test(type)) return response.text();
  return (await response.blob()).size + " bytes of " + (type || "an unknown type");
}

// Shows each failure of a 422 at its input.
function mark(rows, body, errors) {
  for (const row of rows.concat(body ? body.rows : [])) {
    const found = errors.filter((error) => error.at === row.at || error.at.startsWith(row.at + "/"));
    row.node.classList.toggle("wrong", found.length > 0);
    row.wrong.hidden = found.length === 0;
    row.wrong.textContent = found.map((error) => error.message).join("; ");
  }
  if (!body || !body.area) return;
  const found = errors.filter((error) => error.at.startsWith("/body"));
  body.area.classList.toggle("wrong", found.length > 0);
  body.wrong.hidden = found.length === 0;
  body.wrong.textContent = found.map((error) => error.at.slice(5) + " " + error.message).join("; ");
}

async function send(view, method, path, rows, body) {
  const request = buildRequest(method, path, rows, body);
  view.answer.replaceChildren();
  view.button.disabled = true;
  mark(rows, body, []);
  const began = performance.now();
  try {
    const response = await fetch(request.url, request.options);
    const text = await bodyText(response), took = (performance.now() - began).toFixed(0);
    if (response.status === 422) {
      try { mark(rows, body, JSON.parse(text).errors || []); } catch { /* not of ours */ }
    }
    const headers = [...response.headers].map(([name, value]) => name + ": " + value).join("\n");
    view.answer.append(make("h3", {}, "Answer"),
      make("div", {}, make("span", { class: "status " + (response.ok ? "good" : "bad") }, String(response.status)),
        " " + response.statusText + " · " + took + " ms"),
      text ? make("pre", { class: "wrap body" }, text) : "",
      make("details", {}, make("summary", { class: "hint" }, "Headers"), make("pre", { class: "wrap" }, headers)),
      make("details", {}, make("summary", { class: "hint" }, "As a command"),
        make("pre", { class: "wrap curl" }, curlText(request))));
  } catch (failure) {
    view.answer.append(make("h3", {}, "Answer"), make("div", { class: "status bad" }, "No answer: " + failure.message));
  }
  view.button.disabled = false;
}

// ---- the page ---------------------------------------------------------------------------------------------------

function responsesView(operation) {
  const view = make("div", { class: "responses" });
  for (const [status, response] of Object.entries(operation.responses || {})) {
    const [type, entry] = Object.entries(response.content || {})[0] || [];
    view.append(make("div", {}, make("strong", {}, status), " " + (response.description || "") + " ",
      make("span", { class: "hint" }, type || ""), entry && entry.schema ? schemaView(entry.schema) : ""));
  }
  return view;
}

function fill(view, method, path, operation) {
  const rows = keyRows(operation).concat(parameterRows(operation)), body = bodyInput(operation);
  const needed = (operation.security || []).flatMap((each) => Object.keys(each));
  view.answer = make("div", { class: "answer", "aria-live": "polite" });
  view.button = make("button", { class: "send", type: "submit" }, "Send");
  const form = make("form", { on: { submit: (event) => {
    event.preventDefault();
    send(view, method, path, rows, body);
  } } },
  operation.description ? make("p", { class: "description" }, operation.description) : "",
  needed.length ? make("p", { class: "hint security" }, "Needs " + needed.join(" or ")) : "",
  rows.length ? make("h3", {}, "Parameters") : "", ...rows.map((row) => row.row),
  body ? make("h3", {}, "Body") : "");
  if (body && body.schema) form.append(make("div", { class: "columns" }, body.node, schemaView(body.schema)));
  else if (body) form.append(body.node);
  form.append(make("div", { class: "actions" }, view.button), view.answer, make("h3", {}, "Answers"),
    responsesView(operation));
  view.content.append(form);
}

function operationView(method, path, operation) {
  const id = operation.operationId || method + path;
  const view = { content: make("div", { class: "content" }) };
  const classes = "operation " + method + (operation.deprecated ? " deprecated" : "");
  view.node = make("details", { class: classes, id }, make("summary", {},
    make("span", { class: "method" }, method.toUpperCase()), make("span", { class: "path" }, path),
    make("span", { class: "what" }, operation.summary || "")), view.content);
  view.node.addEventListener("toggle", () => {
    if (view.node.open && !view.content.childElementCount) fill(view, method, path, operation);
  });
  const text = [method, path, operation.summary, operation.description].join(" ").toLowerCase();
  const link = make("a", { class: method, href: "#" + id, on: { click: () => { view.node.open = true; } } },
    make("span", { class: "method" }, method.toUpperCase()), make("span", { class: "path" }, path));
  return { node: view.node, link, text };
}

function groups() {
  const found = new Map();
  for (const [path, item] of Object.entries(doc.paths || {})) {
    for (const method of METHODS.filter((name) => item[name])) {
      const tag = (item[method].tags || [])[0] || "";
      if (!found.has(tag)) found.set(tag, []);
      found.get(tag).push(operationView(method, path, item[method]));
    }
  }
  return [...found].sort(([a], [b]) => (a === "") - (b === "") || a.localeCompare(b));
}

function draw() {
  const info = doc.info || {}, main = byId("main"), nav = byId("nav"), sections = [];
  document.title = byId("title").textContent = info.title || "API";
  byId("version").textContent = info.version || "";
  if (info.description) main.append(make("p", { class: "about" }, info.description));
  const list = groups();
  for (const [tag, operations] of list) {
    const title = tag || (list.length > 1 ? "Other" : "Operations");
    const heading = make("h2", {}, title), label = make("h2", {}, title);
    main.append(heading, ...operations.map((each) => each.node));
    nav.append(label, ...operations.map((each) => each.link));
    sections.push({ heading, label, operations });
  }
  byId("search").addEventListener("input", (event) => {
    const words = event.target.value.toLowerCase().split(/\s+/);
    for (const section of sections) {
      let shown = 0;
      for (const each of section.operations) {
        const hidden = !words.every((word) => each.text.includes(word));
        each.node.hidden = each.link.hidden = hidden;
        each.link.style.display = hidden ? "none" : "";
        shown += hidden ? 0 : 1;
      }
      section.heading.hidden = section.label.hidden = shown === 0;
    }
  });
  openHash();
}

function openHash() {
  const target = location.hash && byId(decodeURIComponent(location.hash.slice(1)));
  if (target && target.tagName === "DETAILS") { target.open = true; target.scrollIntoView(); }
}

function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  byId("theme").textContent = document.documentElement.dataset.theme === "dark" ? "Light" : "Dark";
}

function start() {
  const stored = (name) => { try { return sessionStorage.getItem(name) || ""; } catch { return ""; } };
  const store = (name, value) => { try { sessionStorage.setItem(name, value); } catch { /* not allowed */ } };
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  setTheme(stored("braid-theme") || (dark ? "dark" : "light"));
  byId("theme").addEventListener("click", () => {
    const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    store("braid-theme", theme);
    setTheme(theme);
  });
  byId("authorization").value = stored("braid-authorization");
  byId("authorization").addEventListener("change", (event) => store("braid-authorization", event.target.value));
  byId("menu").addEventListener("click", () => byId("nav").classList.toggle("shown"));
  byId("nav").addEventListener("click", () => byId("nav").classList.remove("shown"));
  addEventListener("hashchange", openHash);
  fetch(document.documentElement.dataset.source).then((response) => {
    if (!response.ok) throw new Error("status " + response.status);
    return response.json();
  }).then((loaded) => { doc = loaded; draw(); }).catch((failure) => {
    byId("main").append(make("p", { class: "failure" }, "The document could not be read: " + failure.message));
  });
}

start();
]]
