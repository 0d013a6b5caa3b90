/** Where the words of a search stand in a text, whatever their case and accents. */

const ASCII = /^[\x00-\x7f]*$/;
const ACCENTS = /[\u0300-\u036f]/g;
const WORDS = /"([^"]+)"?|([^\s"]+)/g;

/** The words of a search, folded; what stands in quotes is one of them. */
export function searchWords(query) {
  const words = [...query.matchAll(WORDS)].map(([, phrase, word]) => fold((phrase ?? word).trim().replace(/\s+/g, " ")));
  return words.map(({ folded }) => folded).filter(Boolean);
}

/**
 * A text without case and accents, and the place in the text of each of its characters.
 * @returns {{folded: string, places: number[]|null}} `places` ends with the text's length; null if each place is the same
 */
export function fold(text) {
  if (ASCII.test(text)) return { folded: text.toLowerCase(), places: null };
  const places = [];
  let folded = "";
  let place = 0;
  for (const char of text) {
    const plain = char.normalize("NFKD").replace(ACCENTS, "").toLowerCase();
    for (let unit = 0; unit < plain.length; unit += 1) places.push(place);
    folded += plain;
    place += char.length;
  }
  places.push(text.length);
  return { folded, places };
}

/**
 * Where the words stand in a folded text.
 * @param {{folded: string, places: number[]|null}} text
 * @param {string[]} words
 * @returns {[number, number][]|null} spans of the text in order, which do not overlap; null if a word is missing
 */
export function matchSpans({ folded, places }, words) {
  const placeOf = (index) => (places ? places[index] : index);
  const found = [];
  for (const word of words) {
    let start = folded.indexOf(word);
    if (start === -1) return null;
    for (; start !== -1; start = folded.indexOf(word, start + word.length)) {
      found.push([placeOf(start), Math.max(placeOf(start + word.length), placeOf(start) + 1)]);
    }
  }
  found.sort((first, second) => first[0] - second[0]);
  const spans = [];
  for (const [start, end] of found) {
    const last = spans.at(-1);
    if (last && start <= last[1]) last[1] = Math.max(last[1], end);
    else spans.push([start, end]);
  }
  return spans;
}
