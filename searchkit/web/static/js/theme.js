// Sets the theme before anything is painted; a classic script, so that nothing flashes.
(() => {
  const stored = localStorage.getItem("theme");
  if (stored === "light" || stored === "dark") document.documentElement.dataset.theme = stored;
})();
