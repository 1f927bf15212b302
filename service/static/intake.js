// Every way in: drop, paste, pick, photograph, or an address. Each ends in add(sources), where a
// source is {file} or {url}; of what was pasted, `nameless` says that it is no file on a disk.

const byId = (id) => document.getElementById(id);

export function takeIn(add) {
  pick(byId("choose"), byId("files"), add);
  pick(byId("shoot"), byId("shot"), add);
  address(add);
  drop(add);
  paste(add);
}

function pick(button, input, add) {
  button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    const files = [...input.files]; // before they are let go, so that the same may be picked again
    input.value = "";
    add(files.map((file) => ({ file })));
  });
}

function address(add) {
  const field = byId("url");
  const complaint = byId("url-error");
  byId("address").addEventListener("submit", (event) => {
    event.preventDefault();
    const url = webAddress(field.value);
    field.toggleAttribute("aria-invalid", !url);
    complaint.textContent = url ? "" : "Give a whole address, as https://example.com/photo.jpg";
    if (!url) return field.focus();
    field.value = "";
    return add([{ url }]);
  });
  field.addEventListener("input", () => {
    field.removeAttribute("aria-invalid");
    complaint.textContent = "";
  });
}

function drop(add) {
  const root = document.documentElement;
  let depth = 0; // enter and leave come for every element on the way
  const over = (change) => {
    depth = change === 0 ? 0 : Math.max(0, depth + change);
    root.classList.toggle("dragging", depth > 0);
  };
  const ours = ({ dataTransfer }) =>
    ["Files", "text/uri-list"].some((type) => dataTransfer?.types.includes(type));
  root.addEventListener("dragenter", (event) => ours(event) && over(+1));
  root.addEventListener("dragleave", (event) => ours(event) && over(-1));
  root.addEventListener("dragover", (event) => ours(event) && event.preventDefault());
  root.addEventListener("drop", (event) => {
    if (!ours(event)) return;
    event.preventDefault();
    over(0);
    add(sourcesOf(event.dataTransfer, event.dataTransfer.getData("text/uri-list")));
  });
}

function paste(add) {
  document.addEventListener("paste", (event) => {
    const typing = event.target.closest?.("input, textarea");
    const sources = sourcesOf(event.clipboardData, typing ? "" : event.clipboardData.getData("text"));
    if (sources.length === 0) return;
    event.preventDefault();
    add(sources.map((source) => ({ ...source, nameless: isNameless(source) })));
  });
}

/** Whether a pasted file is a picture that was copied as such: browsers call it image.png. */
const isNameless = ({ file }) => Boolean(file) && /^(image\.\w+)?$/.test(file.name);

/** The files of a DataTransfer; without any, the first address in `text`. */
function sourcesOf(transfer, text) {
  if (transfer.files.length > 0) return [...transfer.files].map((file) => ({ file }));
  const line = text.split(/\r?\n/).find((part) => part && !part.startsWith("#")) ?? "";
  const url = /^https?:/i.test(line.trim()) && webAddress(line);
  return url ? [{ url }] : [];
}

/** `text` as an address on the web, https where it does not say; else null. */
function webAddress(text) {
  const trimmed = text.trim();
  const whole = /^[a-z][a-z\d+.-]*:\/\//i.test(trimmed) ? trimmed : `https://${trimmed}`;
  try {
    const url = new URL(whole);
    return /^https?:$/.test(url.protocol) && url.hostname ? url.href : null;
  } catch {
    return null;
  }
}
