(() => {
  "use strict";
  const table = document.getElementById("claims");
  const claims = [...table.querySelectorAll("tbody.claim")];
  const headers = [...table.querySelectorAll("thead th[data-key]")];
  const form = document.querySelector("form.controls");
  const search = document.getElementById("search");
  const facets = [...form.querySelectorAll("select")];
  const openAll = document.getElementById("open-all");
  const texts = new Map(claims.map((claim) => [claim, [...claim.querySelectorAll(".q")].map((part) => part.textContent).join(" ").toLowerCase()]));

  function toggle(claim, open) {
    claim.classList.toggle("open", open);
    claim.querySelector("button.id").setAttribute("aria-expanded", String(open));
  }

  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const claim of claims) {
      const matches = facets.every((facet) => !facet.value || claim.dataset[facet.dataset.facet] === facet.value)
        && words.every((word) => texts.get(claim).includes(word));
      claim.hidden = !matches;
      shown += matches;
    }
    document.getElementById("shown").textContent = `${shown} of ${claims.length}`;
    document.getElementById("nothing").hidden = shown > 0;
  }

  function sort(header) {
    const column = headers.indexOf(header);
    const ascending = header.getAttribute("aria-sort") !== "ascending";
    const numeric = header.classList.contains("number");
    const value = (claim) => {
      const cell = claim.rows[0].cells[column];
      const text = cell.dataset.value ?? cell.textContent.trim();
      return numeric ? (text === "" ? NaN : Number(text)) : text.toLowerCase();
    };
    const keys = new Map(claims.map((claim) => [claim, value(claim)]));
    const order = (a, b) => {
      const [x, y] = [keys.get(a), keys.get(b)];
      if (numeric && (isNaN(x) || isNaN(y))) return isNaN(x) - isNaN(y);
      return (x < y ? -1 : x > y ? 1 : 0) * (ascending ? 1 : -1);
    };
    for (const other of headers) other.setAttribute("aria-sort", other === header ? (ascending ? "ascending" : "descending") : "none");
    table.append(...[...claims].sort(order));
  }

  function follow() {
    const claim = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!claim || !claim.classList.contains("claim")) return;
    if (claim.hidden) form.reset();
    toggle(claim, true);
    claim.scrollIntoView();
  }

  table.addEventListener("click", (event) => {
    const row = event.target.closest("tr.row");
    if (row && !String(getSelection())) toggle(row.parentElement, !row.parentElement.classList.contains("open"));
  });
  for (const header of headers) header.firstElementChild.addEventListener("click", () => sort(header));
  search.addEventListener("input", filter);
  form.addEventListener("change", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));
  openAll.addEventListener("click", () => {
    const open = openAll.getAttribute("aria-pressed") !== "true";
    openAll.setAttribute("aria-pressed", String(open));
    openAll.textContent = open ? "Close all" : "Open all";
    for (const claim of claims) toggle(claim, open);
  });
  addEventListener("hashchange", follow);
  filter();
  follow();
})();
