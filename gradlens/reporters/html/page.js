// Tables that sort and filter, steps that lead to the picture, details that open where a link points or the page is printed.
"use strict";
(() => {
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];

  // What only a script can do is shown only where it runs.
  all(".gl").forEach(part => part.classList.add("scripted"));
  for (const table of all("table.sortable")) {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    const key = (row, column) => row.cells[column].dataset.key ?? row.cells[column].textContent;
    all("th button", table.tHead).forEach(button => {
      const head = button.closest("th");
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        all("th", table.tHead).forEach(other => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const column = head.cellIndex;
        rows.sort((a, b) => {
          const x = key(a, column), y = key(b, column), p = Number(x), q = Number(y);
          // What has no number comes last, whichever way round.
          if (x === "" || y === "") return (x === "") - (y === "");
          const order = !isNaN(p) && !isNaN(q) ? p - q : x.localeCompare(y, "en", {numeric: true});
          return up ? order : -order;
        });
        body.append(...rows);
      });
    });
    const tools = table.closest(".listing")?.querySelector(".tools");
    if (!tools) continue;
    const find = tools.querySelector("input"), pick = tools.querySelector("select"), told = tools.querySelector(".shown");
    const filter = () => {
      const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
      let count = 0;
      for (const row of rows) {
        const fits = words.every(word => row.dataset.text.includes(word)) && (!pick.value || row.dataset.pick === pick.value);
        row.hidden = !fits;
        count += fits;
      }
      told.textContent = `${count.toLocaleString("en")} of ${rows.length.toLocaleString("en")} shown`;
    };
    find.addEventListener("input", filter);
    pick.addEventListener("change", filter);
    filter();
  }

  const open = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
    target.scrollIntoView();
  };
  window.addEventListener("hashchange", open);
  open();

  const closed = [];
  window.addEventListener("beforeprint", () => {
    for (const part of all("details:not([open])")) {
      closed.push(part);
      part.open = true;
    }
  });
  window.addEventListener("afterprint", () => {
    for (const part of closed.splice(0)) part.open = false;
  });
})();
