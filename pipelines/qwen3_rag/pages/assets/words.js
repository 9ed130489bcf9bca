// The same as words.py and rendering.py: a test in a browser compares them.
const { functionWords, unspaced } = JSON.parse(document.getElementById("words").textContent);
const FUNCTION_WORDS = new Set(functionWords);
const RUNS = new RegExp(`(?<unspaced>[${unspaced}]+)|(?<word>(?:(?![${unspaced}])[\\p{L}\\p{M}\\p{N}])+)|[^\\p{L}\\p{M}\\p{N}]+`, "gu");
const HIRAGANA = /^[\u3040-\u309f]*$/;
const TURNS = /[\u202a-\u202e\u2066-\u2069]/g;
const SHORTEST = 4;

/** A text as it may stand in a page. */
function printable(text) {
  const shown = text.replace(TURNS, (one) => `[U+${one.charCodeAt(0).toString(16).toUpperCase()}]`);
  return shown.toWellFormed().replace(/[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|\p{Noncharacter_Code_Point}/gu, "\ufffd");
}

function folded(word) {
  return word.normalize("NFKC").toLowerCase();
}

let known = { question: null };

/** The telling words of a question, and its pairs of characters without spaces; of the last one they are kept. */
function asked(question) {
  if (known.question === question) return known;
  const words = new Set(), pairs = new Set();
  for (const { groups } of question.matchAll(RUNS)) {
    if (groups.word) words.add(folded(groups.word));
    const letters = [...(groups.unspaced ?? "")];
    for (let i = 0; i + 1 < letters.length; i++) {
      const pair = letters[i] + letters[i + 1];
      if (!HIRAGANA.test(pair)) pairs.add(pair);
    }
  }
  known = { question, words: [...words].filter((one) => !FUNCTION_WORDS.has(one)), pairs };
  return known;
}

function same(one, other) {
  if (one === other) return true;
  const a = [...one], b = [...other];
  let shared = 0;
  while (shared < a.length && shared < b.length && a[shared] === b[shared]) shared++;
  return shared >= SHORTEST && 3 * shared >= 2 * Math.max(a.length, b.length);
}

/** A text in pieces `[text, is marked]`, that together are the text again. */
function marked(text, question) {
  const { words, pairs } = asked(question), found = [];
  const add = (piece, isMarked) => {
    const last = found.at(-1);
    if (last && last[1] === isMarked) last[0] += piece;
    else found.push([piece, isMarked]);
  };
  for (const { 0: run, groups } of text.matchAll(RUNS)) {
    if (groups.unspaced) {
      const letters = [...run];
      const inside = letters.map((letter, i) => pairs.has(letter + (letters[i + 1] ?? "")));
      letters.forEach((letter, i) => add(letter, inside[i] || (i > 0 && inside[i - 1])));
    } else add(run, Boolean(groups.word) && words.some((word) => same(folded(run), word)));
  }
  return found;
}
