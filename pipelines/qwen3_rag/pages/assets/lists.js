// Both lists, the lines between them, and the passages: the same as comparison.py, by textContent alone.
const SVG = "http://www.w3.org/2000/svg";
const NAMES = { gain: "up", loss: "down", same: "stayed", gone: "not kept" };
const byId = (id) => document.getElementById(id);
const LINES = /\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/; // as Python splits them

/** `text`, or its beginning with an ellipsis; letters are whole code points. */
function cut(text, length) {
  const letters = [...text];
  return letters.length <= length ? text : letters.slice(0, length - 2).join("").trimEnd() + " …";
}

function headline(text, length = 120) {
  const first = (text.split(LINES).find((line) => line.trim()) ?? "").replace(/^[# ]+/, "").trim();
  const letters = [...first];
  return letters.length <= length ? first : letters.slice(0, length - 3).join("") + "...";
}

function scoreOf(value) {
  if (value === 0 || Math.abs(value) >= 0.001) return value.toFixed(4);
  return value.toExponential(1).replace(/e([+-])(\d)$/, "e$10$2");
}

function whereOf(row) {
  const headings = (row.header_path ?? "").split(" > ");
  if (headings.at(-1) === headline(row.text)) headings.pop();
  return [cut(row.source, 200), cut(headings.join(" › "), 200)].filter(Boolean).join(" · ");
}

/** The places of each passage in both lists, and what became of it. */
function movesOf(result) {
  const before = new Map(result.dense.map((row) => [row.node_id, row.rank]));
  const after = result.reranked && new Map(result.reranked.map((row) => [row.node_id, row.rank]));
  const kind = (one) => {
    if (!after) return "same";
    if (!after.has(one)) return "gone";
    if (!before.has(one)) return "new";
    return Math.sign(after.get(one) - before.get(one)) === 0 ? "same" : after.get(one) < before.get(one) ? "gain" : "loss";
  };
  const said = (one) => {
    if (!after) return "";
    const by = before.get(one) - after.get(one);
    return { gone: "–", new: "new", same: "=", gain: `↑${by}`, loss: `↓${-by}` }[kind(one)];
  };
  const ranks = (one) => [before.get(one), after && (after.get(one) ?? "not kept")].filter(Boolean).join(" → ");
  return { before, after, kind, said, ranks };
}

function summaryOf(result, moves) {
  if (!result.dense.length) return "Nothing was found.";
  if (!moves.after) return `${result.dense.length} passages of the first stage; there was no second one.`;
  if (!result.reranked.length) return "The second stage kept nothing.";
  const kinds = [...moves.before.keys()].map(moves.kind);
  const counts = Object.entries(NAMES).map(([kind, name]) => [kinds.filter((one) => one === kind).length, name]);
  const was = moves.before.get(result.reranked[0].node_id);
  const first = was === 1 ? "The best passage was first already" : `The best passage was number ${was} before`;
  return `${first}. ${counts.filter(([count]) => count).map((pair) => pair.join(" ")).join(", ")}.`;
}

/** A copy of a template with texts in the elements of these classes. */
function filled(template, kind, anchor, texts) {
  const copy = byId(template).content.firstElementChild.cloneNode(true);
  for (const [name, text] of Object.entries(texts)) copy.querySelector(`.${name}`).textContent = printable(String(text));
  const box = copy.matches("[data-p]") ? copy : copy.querySelector("[data-p]");
  box.dataset.p = anchor;
  return { copy, box };
}

function showStage(list, rows, full, moves, anchors) {
  list.replaceChildren(...rows.map((row) => {
    const one = row.node_id, kind = moves.kind(one);
    const texts = { rank: row.rank, title: headline(row.text) || cut(row.source, 120), score: scoreOf(row.score), move: moves.said(one), where: whereOf(row) };
    const { copy, box } = filled("row", kind, anchors.get(one), texts);
    box.classList.replace("same", kind);
    box.href = `#${anchors.get(one)}`;
    copy.querySelector("rect").setAttribute("width", Math.max(0, Math.min(1, row.score / full)) * 100);
    return copy;
  }));
}

/** Bars of cosines and probabilities go to 1, of other scores to the highest. */
function fullOf(rows, isProbability) {
  const highest = Math.max(0, ...rows.map((row) => row.score));
  return highest > 1 || (highest > 0 && !isProbability) ? highest : 1;
}

function showWires(result, moves, anchors) {
  const ends = new Map((result.reranked ?? []).map((row, place) => [row.node_id, place]));
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 100 ${Math.max(result.dense.length, ends.size, 1) * 10}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const order = ["gone", "same", "loss", "gain"];
  const rows = result.dense.map((row, place) => [row.node_id, place * 10 + 5]);
  rows.sort(([one], [other]) => order.indexOf(moves.kind(one)) - order.indexOf(moves.kind(other)));
  for (const [one, y] of rows) {
    const path = document.createElementNS(SVG, "path"), end = ends.get(one) * 10 + 5;
    path.setAttribute("class", moves.kind(one));
    path.setAttribute("d", ends.has(one) ? `M0 ${y}C50 ${y} 50 ${end} 100 ${end}` : `M0 ${y}H14`);
    path.dataset.p = anchors.get(one);
    svg.append(path);
  }
  byId("wires").replaceChildren(svg);
}

/** A passage's text with the question's words marked; a heading stands apart from it. */
function textNodes(text, question) {
  const trimmed = printable(text).trim();
  const end = trimmed.indexOf("\n");
  const body = !trimmed.startsWith("#") ? trimmed : end < 0 ? "" : trimmed.slice(end).trim();
  return marked(body, question).map(([piece, isMarked]) => {
    if (!isMarked) return document.createTextNode(piece);
    const mark = document.createElement("mark");
    mark.textContent = piece;
    return mark;
  });
}

function cardOf(row, moves, anchor, question, readOn) {
  const place = [whereOf(row), row.page != null && `page ${row.page}`, row.position != null && `passage ${row.position}`];
  const kind = moves.kind(row.node_id);
  const title = headline(row.text) || cut(row.source, 120);
  const { copy } = filled("card", kind, anchor, { ranks: moves.ranks(row.node_id), where: place.filter(Boolean).join(" · ") });
  copy.id = anchor;
  copy.querySelector("h3").textContent = printable(title);
  copy.querySelector(".ranks").classList.replace("same", kind);
  copy.querySelector(".text").replaceChildren(...textNodes(row.text, question));
  if (row.position == null) copy.querySelector(".around").remove();
  else readOn(copy, row);
  return copy;
}

/** Everything of a result; `readOn(card, row)` makes a card's neighbours reachable. Gives the anchor of each passage. */
function showResult(result, readOn) {
  const moves = movesOf(result), second = result.reranked;
  const rows = new Map([...(second ?? []), ...result.dense].map((row) => [row.node_id, row]));
  const anchors = new Map([...rows.keys()].map((one, place) => [one, `p${place + 1}`]));
  const fulls = [fullOf(result.dense, (result.mode ?? "dense") === "dense"), fullOf(second ?? [], true)];
  showStage(byId("first"), result.dense, fulls[0], moves, anchors);
  showStage(byId("second"), second ?? [], fulls[1], moves, anchors);
  byId("first-full").textContent = `Bars go to ${Number(fulls[0].toPrecision(3))}`;
  byId("second-full").textContent = `Bars go to ${Number(fulls[1].toPrecision(3))}`;
  byId("mode-said").textContent = result.mode ?? "dense";
  byId("stages").classList.toggle("alone", !second);
  showWires(result, moves, anchors);
  byId("card-list").replaceChildren(...[...rows].map(([one, row]) => cardOf(row, moves, anchors.get(one), result.query, readOn)));
  for (const id of ["stages", "cards"]) byId(id).hidden = !rows.size;
  byId("legend").hidden = !second || !rows.size;
  return { anchors, summary: summaryOf(result, moves) };
}

function hideResult() {
  for (const id of ["stages", "legend", "cards"]) byId(id).hidden = true;
}
