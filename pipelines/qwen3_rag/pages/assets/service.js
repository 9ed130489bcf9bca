// Asking the service: a question in, both lists out, an answer as it is written, neighbours on a click.
const TOKEN = "qwen3-rag token";
const CITATION = /\[(\d+)\]/g;
let running = null;

class Failure extends Error {}

function say(text, isError = false) {
  byId("status").textContent = printable(text);
  byId("status").classList.toggle("error", isError);
}

/** The token that is asked for, until there is one or the dialog is left. */
function askToken(wasWrong) {
  const dialog = byId("ask-token"), input = byId("token");
  byId("token-why").textContent = wasWrong
    ? "That was not the token. It is what QWEN3_RAG_API_TOKEN says where the service runs."
    : "This service asks for its token. It is kept until this tab is closed.";
  input.value = "";
  return new Promise((resolve, reject) => {
    byId("token-form").onsubmit = (event) => {
      event.preventDefault();
      sessionStorage.setItem(TOKEN, input.value.trim());
      dialog.onclose = null;
      dialog.close();
      resolve();
    };
    byId("token-cancel").onclick = () => dialog.close();
    dialog.onclose = () => reject(new Failure("This service answers only with its token."));
    dialog.showModal();
  });
}

/** A request with the token. What is not 200 is a Failure with the service's own words. */
async function request(path, options = {}) {
  for (;;) {
    const token = sessionStorage.getItem(TOKEN);
    const headers = { ...options.headers, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
    const response = await fetch(path, { ...options, headers });
    if (response.status === 401) {
      sessionStorage.removeItem(TOKEN);
      await askToken(Boolean(token));
      continue;
    }
    if (response.ok) return response;
    const body = await response.json().catch(() => null);
    const said = body?.error?.message ?? `The service answered with status ${response.status}.`;
    throw Object.assign(new Failure(said), { status: response.status });
  }
}

function post(path, body, signal) {
  return request(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal });
}

/** What the form asks for; a field that is empty is left to the service. */
function wishes(path) {
  const text = (id) => byId(id).value.trim() || undefined;
  const number = (id) => (byId(id).value === "" ? undefined : Number(byId(id).value));
  const filters = byId("filters").value.split("\n").map((line) => line.trim()).filter(Boolean);
  const rerank = byId("rerank").checked;
  return {
    query: byId("query").value.trim(),
    collection: text("collection"),
    top_k: number("top_k"),
    top_n: number("top_n") ?? (path === "search" ? number("top_k") : undefined),
    mode: text("mode"),
    filters: filters.length ? filters : undefined,
    instruction: text("instruction"),
    score_threshold: rerank ? number("score_threshold") : undefined,
    rerank,
  };
}

/** A passage beside the one that was found. */
function neighbourOf(passage) {
  const part = document.createElement("div"), heading = document.createElement("h4"), text = document.createElement("p");
  heading.textContent = printable(headline(passage.text));
  text.replaceChildren(...textNodes(passage.text, ""));
  text.className = "text";
  part.className = "neighbour";
  for (const one of [heading, text]) one.dir = "auto";
  part.append(heading, text);
  return part;
}

/** The passages before and after a card's own, two at each click. */
function readOn(card, row) {
  const collection = byId("collection").value;
  const [before, after] = card.querySelectorAll(".around button");
  let first = row.position, next = row.position + 1, total = Infinity;
  const settle = () => {
    before.disabled = first === 0;
    after.disabled = next >= total;
  };
  const show = async (button, from, count, place) => {
    const query = new URLSearchParams({ source: row.source, from, count, ...(collection && { collection }) });
    button.disabled = true;
    try {
      const found = await (await request(`passages?${query}`)).json();
      total = found.total;
      place(found.passages.map(neighbourOf));
    } catch (error) {
      fail(error);
    }
    settle();
  };
  before.onclick = () => {
    const from = Math.max(0, first - 2);
    return show(before, from, first - from, (parts) => {
      card.prepend(...parts);
      first = from;
    });
  };
  after.onclick = () => show(after, next, 2, (parts) => {
    card.querySelector(".around").before(...parts);
    next += parts.length;
  });
  settle();
}

/** The answer so far; numbers of passages that there are lead to them. */
function showAnswer(text, anchors) {
  const parts = [];
  let end = 0;
  for (const found of text.matchAll(CITATION)) {
    const anchor = anchors[Number(found[1]) - 1];
    if (!anchor) continue;
    const link = document.createElement("a");
    link.href = `#${anchor}`;
    link.className = "cite";
    link.textContent = found[0];
    link.dataset.p = anchor;
    parts.push(text.slice(end, found.index), link);
    end = found.index + found[0].length;
  }
  byId("answer-text").replaceChildren(...[...parts, text.slice(end)].map((part) => (typeof part === "string" ? printable(part) : part)));
}

/** Server-sent events of a response as they come: name and data. */
async function* eventsOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (rest + value).split(/\r?\n\r?\n/);
    rest = parts.pop();
    for (const part of parts) {
      const lines = part.split(/\r?\n/).map((line) => line.match(/^(\w+): ?(.*)$/)).filter(Boolean);
      const data = lines.filter(([, field]) => field === "data").map(([, , text]) => text).join("\n");
      if (data) yield [lines.find(([, field]) => field === "event")?.[2] ?? "message", JSON.parse(data)];
    }
  }
}

async function search(mine) {
  const result = await (await post("search", wishes("search"), mine.signal)).json();
  say(showResult(result, readOn).summary);
  mine.isShown = true;
}

async function answer(mine) {
  const response = await post("ask", { ...wishes("ask"), stream: true }, mine.signal);
  let text = "", cited = [], summary = "", frame = 0, isDone = false;
  byId("answer-text").setAttribute("aria-busy", "true");
  byId("stop").hidden = false;
  try {
    for await (const [name, data] of eventsOf(response)) {
      if (name === "passages") {
        const shown = showResult(data, readOn);
        cited = (data.reranked ?? data.dense).map((row) => shown.anchors.get(row.node_id));
        summary = shown.summary;
        mine.isShown = true;
        say("Writing …");
        byId("answer").hidden = false;
        showAnswer("", cited);
      } else if (name === "token") {
        text += data.text;
        frame ||= requestAnimationFrame(() => { frame = 0; showAnswer(text, cited); });
      } else if (name === "done") {
        isDone = true;
        text = data.answer;
        cited = data.sources.map((one) => cited[one.number - 1]);
      } else if (name === "error") throw new Failure(data.error.message);
    }
    if (!isDone) throw new Failure("The answer broke off; ask again.");
    say(summary);
  } finally {
    cancelAnimationFrame(frame);
    showAnswer(text, cited);
    byId("answer-text").setAttribute("aria-busy", "false");
    byId("stop").hidden = true;
  }
}

function fail(error) {
  if (error.name === "AbortError") say("Stopped.");
  else if (error instanceof Failure) say(error.message, true);
  else say(error instanceof TypeError ? "The service cannot be reached." : `This page failed: ${error.message}`, true);
}

/** One at a time: what is still running is stopped. */
async function run(work) {
  if (!byId("form").reportValidity()) return;
  running?.abort();
  const mine = (running = new AbortController());
  byId("answer").hidden = true;
  say("Searching …");
  byId("main").setAttribute("aria-busy", "true");
  try {
    await work(mine);
  } catch (error) {
    if (running === mine) fail(error);
  }
  if (running !== mine) return;
  if (!mine.isShown) hideResult(); // it is of another question
  running = null;
  byId("main").setAttribute("aria-busy", "false");
}

/** Which collection and which models answer here. */
async function greet() {
  try {
    const found = await (await request("health")).json();
    byId("collection").replaceChildren(...found.collections.map((name) => new Option(name, name)));
    byId("collection").value = found.collection;
    byId("collections").hidden = found.collections.length < 2;
    const rows = Number(found.rows).toLocaleString("en");
    byId("about").textContent = printable(`${found.collection} · ${rows} passages · embedding ${found.embed_model} · reranker ${found.rerank_model ?? "none"}`);
    if (!found.rerank_model) byId("rerank").checked = !(byId("rerank").disabled = true);
    say("");
  } catch (error) {
    fail(error);
    if (error.status === 503) setTimeout(greet, 2000);
  }
}

function step(event, row) {
  const rows = [...row.closest("ol").querySelectorAll(".row")], place = rows.indexOf(row);
  const other = row.closest("ol").id === "first" ? "second" : "first";
  const across = () => byId(other).querySelector(`[data-p="${CSS.escape(row.dataset.p)}"]`);
  const next = { ArrowDown: () => rows[place + 1], ArrowUp: () => rows[place - 1], ArrowLeft: across, ArrowRight: across }[event.key]?.();
  if (!next) return;
  event.preventDefault();
  next.focus();
}

byId("form").addEventListener("submit", (event) => { event.preventDefault(); run(search); });
byId("answer-it").addEventListener("click", () => run(answer));
byId("stop").addEventListener("click", () => running?.abort());
byId("rerank").addEventListener("change", () => { if (!byId("stages").hidden) run(search); });
byId("query").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  run(event.ctrlKey || event.metaKey ? answer : search);
});
document.addEventListener("click", ({ target }) => {
  const link = target.closest?.('a[href^="#p"]');
  if (link) byId(link.hash.slice(1))?.focus({ preventScroll: true });
});
document.addEventListener("keydown", (event) => {
  const { target } = event;
  if (event.key === "/" && !target.matches("input, textarea, select")) {
    event.preventDefault();
    byId("query").select();
  } else if (event.key === "Escape" && !byId("ask-token").open) {
    if (running) running.abort();
    else document.querySelector(`.list [data-p="${CSS.escape(target.closest("[data-p]")?.dataset.p ?? "")}"]`)?.focus();
  } else if (target.matches(".row")) step(event, target);
});
greet();
