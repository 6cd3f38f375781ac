// Keeps a page up to date by one stream of server-sent events, while somebody looks at it. Without this, pages work too.
"use strict";

// Makes `old` what `fresh` is, changing only what differs: focus, selection and scrolling stay.
function become(old, fresh) {
  const theirs = [...fresh.childNodes];
  const ours = [...old.childNodes];
  theirs.forEach((node, index) => {
    const mine = ours[index];
    if (!mine) {
      old.append(node.cloneNode(true));
    } else if (mine.nodeType !== node.nodeType || mine.nodeName !== node.nodeName) {
      mine.replaceWith(node.cloneNode(true));
    } else if (node.nodeType === Node.TEXT_NODE) {
      if (mine.data !== node.data) {
        mine.data = node.data;
        flash(mine.parentElement.closest("td:not(.number)"));
      }
    } else if (node.nodeType === Node.ELEMENT_NODE) {
      for (const { name } of [...mine.attributes]) if (!node.hasAttribute(name)) mine.removeAttribute(name);
      for (const { name, value } of node.attributes) if (mine.getAttribute(name) !== value) mine.setAttribute(name, value);
      become(mine, node);
    }
  });
  ours.slice(theirs.length).forEach((node) => node.remove());
}

function flash(cell) {
  if (!cell) return;
  cell.classList.remove("changed");
  void cell.offsetWidth; // so that the animation begins anew
  cell.classList.add("changed");
}

function show(parts) {
  for (const [id, text] of Object.entries(parts)) {
    const place = document.getElementById(id);
    if (!place) continue;
    const fresh = new DOMParser().parseFromString(`<body>${text}</body>`, "text/html").body;
    become(place, fresh);
  }
}

const line = document.getElementById("line");
let stream = null;

function tell(text, well) {
  if (!line) return;
  line.hidden = false;
  line.textContent = text;
  line.classList.toggle("off", !well);
}

function begin() {
  if (stream || document.hidden) return;
  stream = new EventSource(document.body.dataset.live);
  stream.onopen = () => tell("live", true);
  stream.onmessage = (event) => show(JSON.parse(event.data));
  stream.addEventListener("over", () => {
    end();
    tell("your session has ended: log in again", false);
  });
  stream.onerror = () => {
    const ended = stream && stream.readyState === EventSource.CLOSED;
    tell(ended ? "not live: reload the page" : "connection lost, trying again", false);
  };
}

function end() {
  if (stream) stream.end();
  stream = null;
}

if (document.body.dataset.live) {
  document.addEventListener("visibilitychange", () => (document.hidden ? end() : begin()));
  window.addEventListener("pagehide", end);
  window.addEventListener("pageshow", begin);
  begin();
}

document.querySelector(".panels a[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
for (const select of document.querySelectorAll("select[data-sends]")) {
  select.addEventListener("change", () => {
    const button = select.form.querySelector(`button[value="${select.dataset.sends}"]`);
    if (button) select.form.requestSubmit(button);
  });
}
for (const button of document.querySelectorAll("button[data-asks]")) {
  button.addEventListener("click", (event) => {
    if (!window.confirm(button.dataset.asks)) event.preventDefault();
  });
}
