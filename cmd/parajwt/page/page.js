"use strict";

const byId = (id) => document.getElementById(id);
let token = "";

byId("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const choice = new FormData(event.target);
  byId("make").disabled = true;
  try {
    const response = await fetch("/parajwt/token", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ user: choice.get("user"), kind: choice.get("kind") }),
    });
    const made = await response.json();
    if (!response.ok) throw new Error(made.error);
    show(made, chosen("user"), chosen("kind"));
  } catch (error) {
    byId("made").hidden = true;
    say(error instanceof TypeError ? "No answer. Is parajwt serve still running?" : `No token: ${error.message}`);
  } finally {
    byId("make").disabled = false;
    byId("make").focus({ preventScroll: true }); // disabling it took the focus away
  }
});

// chosen returns the words beside the choice.
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
  byId("times").textContent =
    `Issued at ${at(made.payload.iat)}, expires at ${at(made.payload.exp)}, by this machine’s clock.`;
  showCurl();
  byId("made").hidden = false;
  say(`${user}, ${kind.toLowerCase()}.`);
  // It is beside the form on a wide screen, and out of sight below it on a phone.
  if (byId("result").getBoundingClientRect().top > innerHeight / 2) byId("result").scrollIntoView();
}

function span(name, text) {
  const element = document.createElement("span");
  element.className = name;
  element.textContent = text;
  return element;
}

// quoted is a word that a POSIX shell takes as it is.
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
      // Not allowed: select it, so that the keyboard's copy works.
      getSelection().selectAllChildren(source);
      say("Selected; copy it with the keyboard.");
    }
  });
}

function say(text) {
  byId("status").textContent = text;
}
