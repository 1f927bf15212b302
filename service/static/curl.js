// The command that does what the page did.

import { hasKey } from "./key.js";
import { PREDICT } from "./service.js";

/** A POSIX shell's word for `text`. */
export function shellWord(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** The value of curl's -F for a file: curl reads ; and , itself, and - as its standard input. */
export function formFile(name) {
  if (name === "-") return "./-";
  return /[";,\\]|^\s|\s$/.test(name) ? `"${name.replace(/["\\]/g, "\\$&")}"` : name;
}

/** The command for a source, {name} of a file or {url}. */
export function curlFor(source, model) {
  const words = ["curl"];
  if (hasKey()) words.push("-H", '"Authorization: Bearer $ATTRAI_KEY"');
  if (source.url) {
    words.push("-G", "--data-urlencode", shellWord(`url=${source.url}`));
    if (model) words.push("--data-urlencode", shellWord(`model=${model}`));
  } else {
    words.push("-F", shellWord(`image=@${formFile(source.name)}`));
    if (model) words.push("-F", shellWord(`model=${model}`));
  }
  words.push(shellWord(PREDICT.href));
  return words.join(" ");
}
