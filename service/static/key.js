// The key of a server that asks for one. It is kept in this page's memory, and nowhere else.

let key = "";
let asking = null;

export const hasKey = () => key !== "";

export const keyHeaders = () => (key ? { Authorization: `Bearer ${key}` } : {});

/**
 * Ask the person for another key than that of `headers`, which was refused; whether there is one.
 * All who ask meanwhile share the answer, and who asks late, for a photo that took long to send,
 * finds it given.
 */
export async function askForKey(headers) {
  if (keyHeaders().Authorization !== headers.Authorization) return true;
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
