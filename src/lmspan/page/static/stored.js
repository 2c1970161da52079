// The answers of a page that is one file, which has no server: chunks of JSON, compressed, opened when they are asked for.
const element = document.getElementById("stored");
export const stored = element && JSON.parse(element.textContent);
const MOST_OPEN = 12;
const opened = new Map();

export async function answer(address) {
  const { places } = await chunk(0);
  if (!Object.hasOwn(places, address)) return null;
  return (await chunk(places[address]))[address];
}

export function missing(address) {
  if (address.includes("/difference?")) return "This run has many candidates: the file has the differences to their parents only. lmspan ui shows the others.";
  if (address.includes("/spans/")) return "The content of this span is left out, because the file would be too large. lmspan ui shows it.";
  return "This file holds one trace only.";
}

function chunk(number) {
  const found = opened.get(number) || inflated(stored.chunks[number]);
  opened.delete(number);
  opened.set(number, found);
  if (opened.size > MOST_OPEN) opened.delete([...opened.keys()].find((each) => each !== 0));
  return found;
}

async function inflated(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).json();
}
