// The link's token stays in the fragment, which is never sent; only the person's click posts it, so that a mail scanner that
// opens the link spends nothing. It is taken out of the address bar and the history at once.
"use strict";
const form = document.getElementById("form");
const message = document.getElementById("message");
const token = new URLSearchParams(location.hash.slice(1)).get("token");
history.replaceState(null, "", location.pathname);

if (token) {
  form.hidden = false;
  message.textContent = "";
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    const response = await fetch("/v1/auth/register/complete", {
      method: "POST",
      // another account may be signed in within this browser: it has nothing to do with this
      credentials: "omit",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token, name: form.elements.name.value, password: form.elements.password.value }),
    });
    if (response.ok) {
      form.remove();
      message.textContent = "Your account is ready. You can sign in now.";
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
