// Sorting and searching of the ranking; the page is complete without it.
(() => {
  document.documentElement.classList.add("scripted");
  const table = document.querySelector("#ranking-table table");
  if (!table) return;
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const collator = new Intl.Collator(undefined, { numeric: true });
  const text = (row, j) => row.cells[j].textContent.trim();
  heads.forEach((head, j) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const rows = [...body.rows].sort((a, b) => {
        const [p, q] = [a.cells[j].dataset.value, b.cells[j].dataset.value];
        if (p === undefined) return (up ? 1 : -1) * collator.compare(text(a, j), text(b, j));
        if (p === "" || q === "") return (p === "") - (q === "");  // nothing stays last
        return (up ? 1 : -1) * (Number(p) - Number(q));
      });
      body.append(...rows);
    });
  });
  const field = document.getElementById("ranking-search");
  const count = document.getElementById("ranking-count");
  const search = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of body.rows) {
      const line = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => line.includes(word));
      shown += row.hidden ? 0 : 1;
    }
    count.textContent = words.length ? `${shown} of ${body.rows.length}` : "";
  };
  field.addEventListener("input", search);
  search();
})();
