// The key of a server that asks for one. It is kept in this page's memory, and nowhere else.

let key = "";
let asking = null;

export const hasKey = () => key !== "";

export const keyHeaders = () => (key ? { Authorization: `Bearer ${key}` } : {});

/** Ask the person for a key; whether there is a new one. All who ask meanwhile share the answer. */
export function askForKey() {
  asking ??= show().finally(() => {
    asking = null;
  });
  return asking;
}

async function show() {
  const dialog = document.getElementById("key");
  const field = document.getElementById("key-text");
  if (key) document.getElementById("key-title").textContent = "This key was not accepted";
  field.value = "";
  dialog.returnValue = "cancel";
  dialog.showModal();
  await new Promise((closed) => dialog.addEventListener("close", closed, { once: true }));
  if (dialog.returnValue !== "use") return false;
  key = field.value.trim();
  field.value = "";
  return key !== "";
}
