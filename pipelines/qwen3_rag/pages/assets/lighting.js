"use strict";
// A passage lights up in both lists, with its line, wherever it is pointed at or has the focus.
for (const [on, off] of [["pointerover", "pointerout"], ["focusin", "focusout"]]) {
  for (const [event, lit] of [[on, true], [off, false]]) {
    document.addEventListener(event, ({ target }) => {
      const one = target.closest?.("[data-p]")?.dataset.p;
      if (!one) return;
      for (const part of document.querySelectorAll(`[data-p="${CSS.escape(one)}"]`)) part.classList.toggle("lit", lit);
    });
  }
}
