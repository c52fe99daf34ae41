/* SPDX-License-Identifier: MIT
 * Search without a server: INDEX comes from index.js, as [title, address, where, text]. */
(function () {
  var root = document.documentElement, input = document.getElementById("search"),
    list = document.getElementById("results"), base = input.dataset.base, chosen = -1;

  function score(entry, words) {
    var title = entry[0].toLowerCase(), text = (entry[2] + " " + entry[3]).toLowerCase(), sum = 0;
    for (var i = 0; i < words.length; i++) {
      var word = words[i], name = title.replace(/^braid\./, "").replace(/\(.*/, "");
      if (title === word || name === word) sum += 100;
      else if (name.split(/[.:]/).pop() === word) sum += 60;
      else if (title.indexOf(word) >= 0) sum += 30 - Math.min(20, title.length / 10);
      else if (text.indexOf(word) >= 0) sum += 4;
      else return 0;
    }
    return sum;
  }

  function find(query) {
    var words = query.toLowerCase().split(/\s+/).filter(Boolean), found = [];
    if (!words.length) return found;
    INDEX.forEach(function (entry) {
      var value = score(entry, words);
      if (value) found.push([value, entry]);
    });
    return found.sort(function (a, b) { return b[0] - a[0]; }).slice(0, 20);
  }

  function show() {
    var found = find(input.value);
    list.textContent = "";
    chosen = -1;
    list.hidden = !input.value.trim();
    found.forEach(function (pair) {
      var entry = pair[1], item = document.createElement("li"), link = document.createElement("a"),
        title = document.createElement("b"), text = document.createElement("span");
      link.href = base + entry[1];
      title.textContent = entry[0];
      text.textContent = entry[2] + (entry[3] ? ": " + entry[3].slice(0, 110) : "");
      link.append(title, text);
      item.append(link);
      list.append(item);
    });
    if (!found.length) {
      var none = document.createElement("li");
      none.className = "none";
      none.textContent = input.dataset.none;
      list.append(none);
    }
  }

  function move(by) {
    var links = list.querySelectorAll("a");
    if (!links.length) return;
    if (links[chosen]) links[chosen].classList.remove("chosen");
    chosen = (chosen + by + links.length) % links.length;
    links[chosen].classList.add("chosen");
    links[chosen].scrollIntoView({ block: "nearest" });
  }

  input.addEventListener("input", show);
  input.addEventListener("keydown", function (event) {
    if (event.key === "ArrowDown") { event.preventDefault(); move(1); }
    else if (event.key === "ArrowUp") { event.preventDefault(); move(-1); }
    else if (event.key === "Escape") { input.value = ""; show(); }
    else if (event.key === "Enter") {
      var links = list.querySelectorAll("a"), link = links[Math.max(0, chosen)];
      if (link) location.href = link.href;
    }
  });
  list.addEventListener("click", function () { list.hidden = true; });
  document.addEventListener("keydown", function (event) {
    if (event.key === "/" && document.activeElement !== input) { event.preventDefault(); input.focus(); }
  });
  document.addEventListener("click", function (event) {
    if (!event.target.closest(".search")) list.hidden = true;
  });
  var query = new URLSearchParams(location.search).get("q");
  if (query) { input.value = query; show(); }

  document.getElementById("menu-button").addEventListener("click", function () { document.body.classList.toggle("menu"); });
  document.getElementById("theme").addEventListener("click", function () {
    var dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch (error) { /* a file may have no storage */ }
  });
})();
