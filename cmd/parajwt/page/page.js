"use strict";

const byId = (id) => document.getElementById(id);
let token = "";

byId("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  await make();
  byId("make").focus({ preventScroll: true }); // disabling it took the focus away
  // On a phone, the result is below the form.
  if (byId("result").getBoundingClientRect().top > innerHeight / 2) byId("result").scrollIntoView();
});

// send posts an object, or gets a URL, and returns the response's object.
async function send(path, object) {
  const response = await fetch(path, object && {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(object),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

function reason(error) {
  return error instanceof TypeError ? "No response. Is parajwt serve still running?" : `Failed: ${error.message}`;
}

// make shows a new token of the chosen kind.
async function make() {
  const choice = new FormData(byId("form"));
  byId("make").disabled = true;
  try {
    const made = await send("/parajwt/token", {
      user: choice.get("user"), kind: choice.get("kind"), alg: choice.get("alg"),
    });
    show(made, chosen("user"), chosen("kind"));
  } catch (error) {
    byId("made").hidden = true;
    say(reason(error));
  } finally {
    byId("make").disabled = false;
  }
}

// act changes the emulated Para, or reads its state if there is no action.
async function act(action) {
  try {
    const { down, keys } = await send("/parajwt/para", action && { action });
    byId("down").setAttribute("aria-pressed", down);
    byId("para-status").textContent = down
      ? "Para is down. A running server keeps accepting tokens with the keys that it has. A server that starts now answers 503."
      : `Para is up and publishes ${keys.length} keys.`;
    byId("keys").replaceChildren(...keys.map(({ kid, alg }) => {
      const item = document.createElement("li");
      const last = keys.findLast((key) => key.alg === alg).kid === kid;
      item.append(span("kid", kid), ` ${alg}${last ? ", signs" : ""}`);
      return item;
    }));
  } catch (error) {
    byId("para-status").textContent = reason(error);
  }
}

for (const button of document.querySelectorAll("button[data-action]")) {
  button.addEventListener("click", () => act(button.dataset.action));
}
byId("down").addEventListener("click", () => {
  act(byId("down").getAttribute("aria-pressed") === "true" ? "recover" : "down");
});

// chosen returns the label of a choice.
function chosen(name) {
  const input = document.querySelector(`input[name=${name}]:checked`);
  return input.nextElementSibling.firstChild.textContent.trim();
}

function show(made, user, kind) {
  token = made.token;
  const parts = token.split(".");
  byId("token").replaceChildren(
    span("part-header", parts[0]), ".", span("part-payload", parts[1]), ".", span("part-signature", parts[2]));
  byId("header").textContent = JSON.stringify(made.header, null, 2);
  byId("payload").textContent = JSON.stringify(made.payload, null, 2);

  const { status, challenge, code } = made.answer;
  byId("answer-status").textContent = status;
  byId("answer-status").classList.toggle("good", status === 200);
  byId("answer-more").hidden = status === 200;
  byId("answer-challenge").textContent = `WWW-Authenticate: ${challenge}`;
  byId("answer-code").textContent = code;

  const at = (seconds) => new Date(seconds * 1000).toLocaleTimeString();
  byId("verification-token").textContent = made.verificationToken;
  byId("exported-session").textContent = made.exportedSession;
  byId("times").textContent =
    `Issued at ${at(made.payload.iat)}, expires at ${at(made.payload.exp)}, by this machine’s clock.`;
  showCurl();
  byId("made").hidden = false;
  say(`${user}, ${kind.toLowerCase()}.`);
}

function span(name, text) {
  const element = document.createElement("span");
  element.className = name;
  element.textContent = text;
  return element;
}

// quoted returns a text as one word of a POSIX shell.
function quoted(text) {
  return "'" + text.replaceAll("'", "'\\''") + "'";
}

function showCurl() {
  byId("curl").textContent = `curl -i ${quoted(byId("address").value)} -H ${quoted("Authorization: Bearer " + token)}`;
}

byId("address").addEventListener("input", showCurl);

for (const button of document.querySelectorAll("button.copy")) {
  button.addEventListener("click", async () => {
    const source = byId(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.firstChild.textContent = "Copied";
      setTimeout(() => { button.firstChild.textContent = "Copy"; }, 2000);
      say("Copied.");
    } catch {
      // The browser forbids it. The keyboard copies a selection.
      getSelection().selectAllChildren(source);
      say("Selected. Copy it with the keyboard.");
    }
  });
}

function say(text) {
  byId("status").textContent = text;
}

act();
make();
