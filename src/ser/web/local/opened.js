/** No module: says why a page that was opened as a file stays empty. A browser lets such a page load neither modules nor a model. */

if (location.protocol === "file:") {
  const problem = document.createElement("p");
  problem.className = "problem";
  problem.setAttribute("role", "alert");
  problem.textContent =
    "This page was opened as a file, and a browser lets no such page load its model. A web server has to hand it out, any one, and on " +
    "this machine: open a terminal in its folder, type “python -m http.server -b 127.0.0.1”, and open http://127.0.0.1:8000 here.";
  document.querySelector("main")?.replaceChildren(problem);
}
