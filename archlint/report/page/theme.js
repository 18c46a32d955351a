// Runs before anything is drawn, so that the theme that was chosen is there from the start.
(() => {
  let chosen = null;
  try {
    chosen = localStorage.getItem("archlint-theme");
  } catch {
    // storage may be forbidden; the theme is then not kept
  }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
