// The link's token stays in the fragment, which is never sent; only the person's click posts it, so that a mail scanner that
// opens the link spends nothing. It is taken out of the address bar and the history at once.
"use strict";
const form = document.getElementById("form");
const message = document.getElementById("message");
let token = null;

function takeToken() {
  token = new URLSearchParams(location.hash.slice(1)).get("token") ?? token;
  history.replaceState(null, "", location.pathname);
  if (token) {
    form.hidden = false;
    message.textContent = "";
  }
}

takeToken();
// another link opened in the tab that shows this page changes the fragment only
window.addEventListener("hashchange", takeToken);

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    const headers = { "Content-Type": "application/json" };
    // Who is signed in within this browser has nothing to do with the link, so no cookie goes along, except where the answer's cookie
    // is the point; then a session that is there wants its CSRF token.
    const credentials = form.dataset.cookie === "true" ? "same-origin" : "omit";
    if (credentials === "same-origin") {
      const csrf = await fetch("/v1/auth/csrf");
      if (csrf.ok) headers["X-CSRF-Token"] = (await csrf.json()).csrf_token;
    }
    const body = JSON.stringify({ token, ...Object.fromEntries(new FormData(form)) });
    const response = await fetch(form.dataset.call, { method: "POST", credentials, headers, body });
    if (response.ok) {
      form.remove();
      message.textContent = form.dataset.done;
      return;
    }
    const { error } = await response.json();
    const reasons = (error.fields ?? []).map(({ field, reason }) => `The ${field} ${reason}.`);
    message.textContent = reasons.length ? reasons.join(" ") : error.message;
  } catch {
    message.textContent = "The service could not be reached. Try again.";
  }
  button.disabled = false;
});
