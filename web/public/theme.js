// Sets the theme before the first paint, so that a dark page never flashes white. A file of its own: the policy allows no inline script.
(() => {
  const root = document.documentElement;
  try {
    root.dataset.theme = localStorage.getItem("fleet.theme") ?? "system";
    root.dataset.density = localStorage.getItem("fleet.density") ?? "comfortable";
  } catch {
    root.dataset.theme = "system";
  }
})();
