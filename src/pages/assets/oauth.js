// Posts what the provider sent this browser back with. It is taken out of the address bar and the history at once; a copy of it is worth
// nothing in another browser, and nothing here after the first time.
"use strict";
const form = document.getElementById("form");
const message = document.getElementById("message");
const provider = location.pathname.split("/").pop();
const given = new URLSearchParams(location.search);
history.replaceState(null, "", location.pathname);
let waiting = null;

async function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  // a session that is there wants its token
  const csrf = await fetch("/v1/auth/csrf");
  if (csrf.ok) headers["X-CSRF-Token"] = (await csrf.json()).csrf_token;
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error.message);
  return { status: response.status, answer };
}

function show({ status, answer }) {
  form.hidden = status !== 202;
  if (status === 202) {
    waiting = answer.mfa_token;
    const knowsCodes = ["totp", "recovery_code"].some((method) => answer.methods.includes(method));
    form.hidden = !knowsCodes;
    message.textContent = knowsCodes ? "" : "Your account asks for a passkey. Sign in where you can use it.";
  } else {
    message.textContent = status === 201 ? "It now leads to your account." : "You are signed in.";
  }
}

async function attempt(work) {
  try {
    show(await work());
  } catch (error) {
    message.textContent = error instanceof TypeError ? "The service could not be reached. Try again." : error.message;
  }
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  const entry = new FormData(form).get("code").trim();
  const shown = /^\d{6}$/.test(entry) ? { code: entry } : { recovery_code: entry };
  await attempt(() => post("/v1/auth/mfa/verify", { mfa_token: waiting, ...shown }));
  button.disabled = false;
});

const body = {};
for (const name of ["state", "code", "iss", "error"]) if (given.has(name)) body[name] = given.get(name);
if (body.state) {
  message.textContent = "One moment.";
  attempt(() => post(`/v1/auth/oauth/${provider}/callback`, body));
} else {
  message.textContent = "Begin where you sign in: this page is where that ends.";
}
