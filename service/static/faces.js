// The boxes over a photo, and what is known of the face that is chosen.

const LOW = 1;
const HIGH = 10;

let groups = 0;

/** Show `result`'s faces, at least one, in a card's elements; the largest is chosen first. */
export function showFaces(result, card) {
  const { faces, image } = result;
  const group = card.querySelector(".faces");
  const name = `faces-${(groups += 1)}`;
  let chosen = 0;
  const boxes = faces.map((face, index) => box(face, index, faces.length, image, name));
  const show = (index) => fill(card, faces[index], index, faces.length);
  const choose = (index) => {
    chosen = (index + faces.length) % faces.length;
    boxes[chosen].firstChild.checked = true;
    show(chosen);
  };
  boxes.forEach((element, index) => {
    element.firstChild.addEventListener("change", () => choose(index));
    element.addEventListener("pointerenter", ({ pointerType }) => pointerType === "mouse" && show(index));
    element.addEventListener("pointerleave", () => show(chosen));
  });
  card.querySelector(".previous").addEventListener("click", () => choose(chosen - 1));
  card.querySelector(".next").addEventListener("click", () => choose(chosen + 1));
  for (const step of card.querySelectorAll(".which button")) step.hidden = faces.length === 1;
  group.setAttribute("aria-label", faces.length === 1 ? "The face" : "The faces, largest first");
  group.replaceChildren(...boxes);
  group.hidden = false;
  card.querySelector(".details").hidden = false;
  choose(0);
}

/** A radio button the size of the face: the arrow keys go from face to face, and a tap chooses. */
function box(face, index, count, image, name) {
  const label = document.createElement("label");
  const { x, y, width, height } = face.box;
  label.className = "face";
  label.style.left = percent(x, image.width);
  label.style.top = percent(y, image.height);
  label.style.width = percent(width, image.width);
  label.style.height = percent(height, image.height);
  // The score stands above its box, unless the photo ends there.
  label.classList.toggle("at-top", y < 0.13 * image.height);
  label.classList.toggle("at-right", x > 0.85 * image.width);
  const radio = document.createElement("input");
  radio.type = "radio";
  radio.name = name;
  const spread = face.spread === null ? "" : `, give or take ${points(face.spread)}`;
  const place = count === 1 ? "Face" : `Face ${index + 1} of ${count}`;
  radio.setAttribute("aria-label", `${place}: score ${points(face.score)}${spread}, ${sureness(face)} sure it is a face`);
  const tag = document.createElement("span");
  tag.className = "tag";
  tag.textContent = points(face.score);
  label.append(radio, tag);
  return label;
}

function fill(card, face, index, count) {
  const put = (part, text) => {
    card.querySelector(part).textContent = text;
  };
  put(".place", count === 1 ? "One face" : `Face ${index + 1} of ${count}`);
  put(".figure", points(face.score));
  put(".spread", face.spread === null ? "not told by this scorer" : `± ${points(face.spread)}`);
  put(".confidence", sureness(face));
  put(".size", `${face.box.width} × ${face.box.height} px`);
  card.querySelector(".dot").style.left = along(face.score);
  const band = card.querySelector(".band");
  const spread = face.spread ?? 0;
  band.style.left = along(face.score - spread);
  band.style.right = `${100 - parseFloat(along(face.score + spread))}%`;
}

export const points = (score) => score.toFixed(1);

const sureness = ({ confidence }) => `${(Math.floor(confidence * 1000) / 10).toFixed(confidence < 1 ? 1 : 0)} %`;
const percent = (part, whole) => `${(100 * part) / whole}%`;
const along = (score) => percent(Math.min(Math.max(score, LOW), HIGH) - LOW, HIGH - LOW);
