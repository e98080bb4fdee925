"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const svg = byId("map"), view = byId("view"), panel = byId("panel");
  const make = (name, attributes, parent) => {
    const e = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const k in attributes) e.setAttribute(k, attributes[k]);
    if (parent) parent.append(e);
    return e;
  };
  const html = (name, text, parent, cls) => {
    const e = document.createElement(name);
    if (text !== undefined) e.textContent = text;
    if (cls) e.className = cls;
    if (parent) parent.append(e);
    return e;
  };

  // One hue per group, well apart; plain hosts stay grey.
  const groups = [...new Set(data.nodes.map((n) => n.group))];
  const hues = [217, 160, 275, 28, 340, 190, 90, 305, 250, 50];
  const hue = {};
  let next = 0;
  for (const g of groups) hue[g] = g === "linux" || g === "host" || g === "hosts" ? [215, "14%"] : [hues[next++ % hues.length], "72%"];
  const colour = (e, g) => { e.style.setProperty("--h", hue[g][0]); e.style.setProperty("--s", hue[g][1]); };
  if (groups.length > 1) for (const g of groups.slice(0, 12)) {
    const li = html("li", undefined, byId("legend"));
    colour(html("i", undefined, li), g);
    li.append(g);
  }

  // Links between the same two nodes bend away from each other.
  const key = (l) => l.a < l.b ? l.a + "-" + l.b : l.b + "-" + l.a;
  const count = {};
  data.links.forEach((l) => { l.nth = count[key(l)] = (count[key(l)] ?? -1) + 1; });
  const curve = (l) => {
    const p = data.nodes[l.a], q = data.nodes[l.b], many = count[key(l)] + 1;
    const bend = (l.nth - (many - 1) / 2) * 34 * (l.a < l.b ? 1 : -1);
    const dx = q.x - p.x, dy = q.y - p.y, d = Math.hypot(dx, dy) || 1;
    return { p, q, c: { x: (p.x + q.x) / 2 - dy / d * bend * 2, y: (p.y + q.y) / 2 + dx / d * bend * 2 } };
  };
  const on = (l, t) => {
    const { p, q, c } = curve(l), u = 1 - t;
    return [u * u * p.x + 2 * u * t * c.x + t * t * q.x, u * u * p.y + 2 * u * t * c.y + t * t * q.y];
  };

  const isImpaired = (l) => !!l.impair;
  data.links.forEach((l, i) => {
    l.g = make("g", { class: "link" }, byId("links"));
    if (isImpaired(l)) l.g.classList.add("impaired");
    if (!l.ends[0].up || !l.ends[1].up) l.g.classList.add("down");
    l.seen = make("path", { class: "seen" }, l.g);
    l.hit = make("path", { class: "hit" }, l.g);
    l.g.addEventListener("pointerenter", () => hover({ link: i }));
    l.g.addEventListener("pointerleave", () => hover(null));
    l.g.addEventListener("click", (e) => { e.stopPropagation(); keep({ link: i }); });
  });

  const shapes = {
    frr: (g) => {
      make("circle", { class: "body", r: 21 }, g);
      make("path", { class: "glyph", d: "M-12-4H11M7-8l4 4-4 4M12 5H-11M-7 1l-4 4 4 4" }, g);
    },
    linux: (g) => {
      make("rect", { class: "body", x: -20, y: -16, width: 40, height: 32, rx: 7 }, g);
      make("path", { class: "glyph", d: "M-11-5l5 5-5 5M-1 6h11" }, g);
    },
    lan: (g) => {
      make("rect", { class: "body", x: -30, y: -11, width: 60, height: 22, rx: 11 }, g);
      make("path", { class: "glyph", d: "M-19 0H19M-10 0V5M0 0V-5M10 0V5" }, g);
    },
    host: (g) => {
      make("path", { class: "body", d: "M-17 14a10 10 0 0 1-1-20 13 13 0 0 1 25-4 10 10 0 0 1 9 24z" }, g);
      make("path", { class: "glyph", d: "M0 7V-4M-4 0l4-4 4 4" }, g);
    },
  };
  data.nodes.forEach((n, i) => {
    n.links = [];
    n.g = make("g", { class: "node", tabindex: 0, role: "button", "aria-label": n.name }, byId("nodes"));
    colour(n.g, n.group);
    shapes[n.kind](n.g);
    make("text", { y: 37 }, n.g).textContent = n.name;
    n.facts.slice(0, 2).forEach((f, k) => { make("text", { y: 51 + k * 13, class: "fact" }, n.g).textContent = f; });
    n.g.addEventListener("pointerenter", () => hover({ node: i }));
    n.g.addEventListener("pointerleave", () => hover(null));
    n.g.addEventListener("focus", () => hover({ node: i }));
    n.g.addEventListener("blur", () => hover(null));
    n.g.addEventListener("keydown", (e) => { if (e.key === "Enter") keep({ node: i }); });
    n.g.addEventListener("pointerdown", (e) => { e.stopPropagation(); drag = { node: n, moved: false }; svg.setPointerCapture(e.pointerId); });
  });
  data.links.forEach((l, i) => { data.nodes[l.a].links.push(i); if (l.a !== l.b) data.nodes[l.b].links.push(i); });

  const draw = (l) => {
    const { p, q, c } = curve(l), d = `M${p.x} ${p.y}Q${c.x} ${c.y} ${q.x} ${q.y}`;
    l.seen.setAttribute("d", d);
    l.hit.setAttribute("d", d);
  };
  const put = (n) => n.g.setAttribute("transform", `translate(${n.x} ${n.y})`);
  data.links.forEach(draw);
  data.nodes.forEach(put);

  // Which addresses stand at the ends of which links.
  let all = false;
  const tags = byId("tags");
  const tag = (links, strong) => {
    tags.replaceChildren();
    for (const i of links) {
      const l = data.links[i];
      l.ends.forEach((e, k) => {
        const p = data.nodes[k ? l.b : l.a], q = data.nodes[k ? l.a : l.b];
        const far = Math.hypot(q.x - p.x, q.y - p.y) || 1;
        // Below a node stand its name and facts.
        const room = (q.y - p.y) / far > .3 ? 66 + 13 * Math.min(2, p.facts.length) : 54;
        const t = Math.min(.42, room / far);
        const [x, y] = on(l, k ? 1 - t : t);
        const words = [e.if].concat(e.addresses);
        words.forEach((w, n) => {
          const text = make("text", { x, y: y + n * 11.5 - (words.length - 1) * 5, class: strong ? "tag on" : "tag" }, tags);
          text.textContent = w;
        });
      });
    }
  };

  let kept = null;
  const show = (what) => {
    for (const e of view.querySelectorAll(".on, .near")) e.classList.remove("on", "near");
    view.classList.toggle("faded", !!what);
    panel.hidden = !what;
    if (!what) { tag(all ? data.links.keys() : [], false); return; }
    const links = what.links ?? (what.link !== undefined ? [what.link] : data.nodes[what.node].links);
    const nodes = what.nodes ?? (what.node !== undefined ? [what.node] : []);
    nodes.forEach((i) => data.nodes[i].g.classList.add("on"));
    links.forEach((i) => {
      data.links[i].g.classList.add("on");
      [data.links[i].a, data.links[i].b].forEach((n) => data.nodes[n].g.classList.add("near"));
    });
    tag(links, true);
    describe(what);
  };
  const hover = (what) => { if (!drag) show(what ?? kept); };
  const keep = (what) => { kept = what; show(what); };

  const pair = (dl, name, value) => { if (value && value.length) { html("dt", name, dl); html("dd", Array.isArray(value) ? value.join(" ") : value, dl); } };
  const kinds = { frr: "FRR router", linux: "Linux host", lan: "LAN segment", host: "interface of the host" };
  function describe(what) {
    panel.replaceChildren();
    if (what.node !== undefined) {
      const n = data.nodes[what.node];
      html("h2", n.name, panel);
      html("p", kinds[n.kind] + (n.group !== n.kind ? " · " + n.group : ""), panel, "kind");
      const dl = html("dl", undefined, panel);
      pair(dl, "loopback", n.loopback);
      n.facts.filter((f) => /^(AS|area) /.test(f)).forEach((f) => pair(dl, f.split(" ")[0], f.split(" ")[1]));
      pair(dl, "runs", n.runs.join(", "));
      if (n.links.length) html("h3", n.links.length === 1 ? "1 link" : n.links.length + " links", panel);
      for (const i of n.links.slice(0, 60)) {
        const l = data.links[i], k = l.a === what.node ? 0 : 1;
        const s = html("section", undefined, panel);
        html("b", l.ends[k].if, s);
        html("span", " → " + data.nodes[k ? l.a : l.b].name + ":" + l.ends[1 - k].if, s);
        if (l.ends[k].addresses.length) html("div", l.ends[k].addresses.join("  "), s);
        if (l.mtu !== 1500) html("div", "mtu " + l.mtu, s);
        l.impair?.forEach((t) => html("div", t, s, "warn"));
        l.ends[k].acl?.forEach((t) => html("div", t, s));
      }
    } else if (what.link !== undefined) {
      const l = data.links[what.link];
      html("h2", data.nodes[l.a].name + " — " + data.nodes[l.b].name, panel);
      html("p", "link · mtu " + l.mtu, panel, "kind");
      l.impair?.forEach((t) => html("p", t, panel, "warn"));
      l.ends.forEach((e, k) => {
        html("h3", data.nodes[k ? l.b : l.a].name + ":" + e.if, panel);
        const dl = html("dl", undefined, panel);
        pair(dl, "addresses", e.addresses.join("\n"));
        pair(dl, "mac", e.mac);
        if (!e.up) pair(dl, "state", "down");
        pair(dl, "acl", e.acl?.join("\n"));
      });
    } else {
      html("h2", what.nodes.length + (what.nodes.length === 1 ? " node" : " nodes"), panel);
      html("p", "“" + what.text + "”", panel, "kind");
      for (const i of what.nodes.slice(0, 60)) { const s = html("section", undefined, panel); html("b", data.nodes[i].name, s); html("div", data.nodes[i].facts.join("  "), s); }
    }
  }

  // Pan and zoom.
  let at = { x: 0, y: 0, k: 1 }, drag = null, last = null;
  const apply = () => {
    view.setAttribute("transform", `translate(${at.x} ${at.y}) scale(${at.k})`);
    // From far away nodes stay dots one can see.
    view.style.setProperty("--up", Math.max(1, Math.min(2.6, .16 / at.k)));
    view.classList.toggle("small", at.k < .62);
    view.classList.toggle("tiny", at.k < .34);
  };
  const fit = () => {
    const box = svg.getBoundingClientRect();
    if (!data.nodes.length || !box.width) return;
    const xs = data.nodes.map((n) => n.x), ys = data.nodes.map((n) => n.y);
    const [x0, x1, y0, y1] = [Math.min(...xs) - 70, Math.max(...xs) + 70, Math.min(...ys) - 50, Math.max(...ys) + 90];
    at.k = Math.min(1.5, box.width / (x1 - x0), box.height / (y1 - y0));
    at.x = (box.width - (x0 + x1) * at.k) / 2;
    at.y = (box.height - (y0 + y1) * at.k) / 2;
    apply();
  };
  svg.addEventListener("wheel", (e) => {
    e.preventDefault();
    const box = svg.getBoundingClientRect(), x = e.clientX - box.left, y = e.clientY - box.top;
    const k = Math.min(6, Math.max(.02, at.k * Math.exp(-e.deltaY * .0015)));
    at = { x: x - (x - at.x) * k / at.k, y: y - (y - at.y) * k / at.k, k };
    apply();
  }, { passive: false });
  svg.addEventListener("pointerdown", (e) => { if (!drag && !e.target.closest(".link")) { drag = { moved: false }; svg.setPointerCapture(e.pointerId); } last = e; });
  svg.addEventListener("pointermove", (e) => {
    if (!drag || !last) { last = e; return; }
    const dx = e.clientX - last.clientX, dy = e.clientY - last.clientY;
    if (Math.abs(dx) + Math.abs(dy) > 2) { drag.moved = true; svg.classList.add("moving"); }
    if (!drag.moved) return;
    last = e;
    if (drag.node) {
      drag.node.x += dx / at.k; drag.node.y += dy / at.k;
      put(drag.node);
      drag.node.links.forEach((i) => draw(data.links[i]));
      tag(all ? data.links.keys() : drag.node.links, !all);
    } else { at.x += dx; at.y += dy; apply(); }
  });
  const release = () => {
    if (drag && !drag.moved) keep(drag.node ? { node: data.nodes.indexOf(drag.node) } : null);
    drag = null; last = null; svg.classList.remove("moving");
  };
  svg.addEventListener("pointerup", release);
  svg.addEventListener("pointercancel", release);
  addEventListener("keydown", (e) => { if (e.key === "Escape") { byId("find").value = ""; keep(null); } });
  addEventListener("resize", fit);

  byId("fit").addEventListener("click", fit);
  byId("labels").addEventListener("click", (e) => { all = !all; e.currentTarget.setAttribute("aria-pressed", all); show(kept); });
  byId("theme").addEventListener("click", () => {
    const dark = getComputedStyle(document.documentElement).colorScheme === "dark";
    document.documentElement.dataset.theme = dark ? "light" : "dark";
  });
  byId("find").addEventListener("input", (e) => {
    const text = e.target.value.trim().toLowerCase();
    if (!text) { keep(null); return; }
    const holds = (n) => [n.name, ...n.facts, ...n.loopback, ...n.links.flatMap((i) => { const l = data.links[i]; return l.ends[data.nodes[l.a] === n ? 0 : 1].addresses; })]
      .some((w) => w.toLowerCase().includes(text));
    const nodes = data.nodes.flatMap((n, i) => holds(n) ? [i] : []);
    keep(nodes.length === 1 ? { node: nodes[0] } : { nodes, links: [], text });
  });
  fit();
  // #NODE in the address opens that node.
  const wanted = data.nodes.findIndex((n) => n.name === decodeURIComponent(location.hash.slice(1)));
  if (wanted >= 0) keep({ node: wanted });
})();
