// A link in a letter is a navigation from another site, to which browsers send no strict cookie. This page is of the service itself, so
// its own call carries the session.
"use strict";
const form = document.getElementById("form");
const message = document.getElementById("message");
const id = new URLSearchParams(location.hash.slice(1)).get("id");

if (id) {
  form.hidden = false;
  message.textContent = "";
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const response = await fetch(`/v1/me/export/${encodeURIComponent(id)}`);
    if (!response.ok) {
      message.textContent = response.status === 401 ? "Sign in anew within this browser, then try again." : (await response.json()).error.message;
      return;
    }
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await response.blob());
    link.download = "portcullis-export.json";
    link.click();
    URL.revokeObjectURL(link.href);
    message.textContent = "Saved.";
  } catch {
    message.textContent = "The service could not be reached. Try again.";
  }
});
