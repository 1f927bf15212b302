// A file as the server can take it: JPEG, PNG or WebP, and no larger than it accepts.

const ENOUGH = 16 * 1024 * 1024; // bytes; what the server accepts unless it is told otherwise
const SIDE = 4096; // pixels; far more than the models look at
const BLANK = "#fff"; // what shines through a transparent picture in a JPEG

const SIGNS = [
  [/^\xff\xd8\xff/, "JPEG"],
  [/^\x89PNG\r\n\x1a\n/, "PNG"],
  [/^RIFF[^]{4}WEBP/, "WebP"],
  [/^[^]{4}ftyp(heic|heix|hevc|heim|heis|mif1|msf1)/, "HEIC"],
  [/^[^]{4}ftypavi[fs]/, "AVIF"],
  [/^GIF8/, "GIF"],
  [/^BM/, "BMP"],
  [/^(II\*\0|MM\0\*)/, "TIFF"],
  [/^%PDF/, "PDF"],
];
const TAKEN = new Set(["JPEG", "PNG", "WebP"]);
const WEBP_FLAGS = 20; // where they are in an extended WebP
const HAS_EXIF = 0x08;

/** What cannot be sent, and why, in words for a person. */
export class Unreadable extends Error {
  constructor(headline, advice) {
    super(headline);
    this.advice = advice;
  }
}

/**
 * The photo to send, as {blob, name, note, askew}; the note says what was changed on the way. Askew
 * is what this browser may show otherwise than the server sees it, which turns it by its EXIF.
 */
export async function prepare(file) {
  const start = await startOf(file);
  const kind = SIGNS.find(([sign]) => sign.test(start))?.[1];
  if (TAKEN.has(kind)) {
    if (file.size > ENOUGH) return smaller(file);
    return { blob: file, name: file.name, note: "", askew: kind === "WebP" && hasExif(start) };
  }
  const made = await copy(file, SIDE).catch(() => null);
  if (!made) throw refusal(kind);
  return { ...made, note: `${kind ?? "This kind of picture"} is not read here, so a JPEG copy was sent.` };
}

/** A smaller copy of a photo that is too large to send. */
export async function smaller(file) {
  const made = await copy(file, SIDE).catch(() => null);
  if (!made) {
    throw new Unreadable("This photo is too large", "Make it smaller, then add it again.");
  }
  const { width, height } = made;
  return { ...made, note: `Too large to send as it is, so a copy of ${width} × ${height} pixels was sent.` };
}

/** Chromium turns a JPEG and a PNG, and never a WebP. */
function hasExif(start) {
  return /^.{12}VP8X/s.test(start) && (start.charCodeAt(WEBP_FLAGS) & HAS_EXIF) !== 0;
}

/** The first bytes, one a letter. */
async function startOf(file) {
  let bytes;
  try {
    bytes = new Uint8Array(await file.slice(0, 32).arrayBuffer());
  } catch {
    throw new Unreadable("This cannot be read", "It may be a folder, or a file that has moved. Add the photo itself.");
  }
  return String.fromCharCode(...bytes);
}

/** Drawn anew by the browser, which turns it upright, and leaves out all but the picture. */
async function copy(file, side) {
  const image = new Image();
  image.src = URL.createObjectURL(file);
  try {
    await image.decode();
    const { naturalWidth: wide, naturalHeight: high } = image;
    const scale = Math.min(1, side / Math.max(wide, high));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(wide * scale));
    canvas.height = Math.max(1, Math.round(high * scale));
    const brush = canvas.getContext("2d");
    brush.fillStyle = BLANK;
    brush.fillRect(0, 0, canvas.width, canvas.height);
    brush.imageSmoothingQuality = "high";
    brush.drawImage(image, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
    const { width, height } = canvas;
    return blob && { blob, name: `${file.name.replace(/\.\w+$/, "")}.jpg`, width, height };
  } finally {
    URL.revokeObjectURL(image.src);
  }
}

function refusal(kind) {
  if (kind === "HEIC") {
    return new Unreadable(
      "This is a HEIC photo, which neither the server nor this browser reads",
      "Export it as JPEG. On an iPhone: Settings, Camera, Formats, Most Compatible.",
    );
  }
  return kind
    ? new Unreadable(`This is a ${kind}, which is not read here`, "Save it as JPEG, PNG or WebP, then add it again.")
    : new Unreadable("This is not a photo", "JPEG, PNG and WebP are read here.");
}
