// What went wrong in plain words: a headline, and what to do about it.

const OF_STATUS = {
  0: ["The server cannot be reached", "Check your connection, then try again."],
  401: ["This server asks for a key", "Whoever runs it can give you one."],
  403: ["This server does not let you in", "Ask whoever runs it for a key that does."],
  404: ["This scorer is not served any more", "Reload the page, then try again."],
  413: ["This photo is too large", "Make it smaller, then add it again."],
  415: ["This kind of picture is not read here", "JPEG, PNG and WebP are; animated ones are not."],
  422: ["This photo cannot be rated", "It may be damaged, or too small. Save it anew, or try another."],
  429: ["The server is busy", "It was asked several times. Try again in a minute."],
  502: ["The photo could not be fetched", "Check the address; or save the photo, and drop it here."],
  503: ["The server is not ready yet", "Try again in a minute."],
  504: ["The photo’s host is too slow", "Try again; or save the photo, and drop it here."],
};
const WORTH_ANOTHER_TRY = new Set([401, 403, 429]);
const OF_ADDRESS = ["This address cannot be fetched", "Only photos on public sites can; or save the photo, and drop it here."];
const OF_REQUEST = ["The server does not understand this", "Reload the page, then try again."];
const OF_SERVER = ["Something went wrong on the server", "Try again in a minute."];

/** {headline, advice, cause, again} of an error of the service's or of photo.js; `cause` may be empty. */
export function wordsFor(error, source) {
  if (error.advice) return { headline: error.message, advice: error.advice, cause: "", again: false };
  const { status = -1, detail = "", requestId = "" } = error;
  const [headline, advice] = OF_STATUS[status] ?? other(status, source);
  const reference = status >= 500 && requestId ? `Request ${requestId}` : "";
  const again = status < 400 || status >= 500 || WORTH_ANOTHER_TRY.has(status);
  return { headline, advice, cause: [sentence(detail), reference].filter(Boolean).join(" "), again };
}

function other(status, source) {
  if (status === 400 && source.url) return OF_ADDRESS;
  return status >= 400 && status < 500 ? OF_REQUEST : OF_SERVER;
}

/** Text as a sentence: a capital first, a full stop last. */
function sentence(text) {
  return text && text[0].toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}

/** "1 face", "7 faces", "No face found". */
export function facesFound(count) {
  return count === 0 ? "No face found" : `${count} ${count === 1 ? "face" : "faces"}`;
}
