// The theme without loading the page again; the server keeps the choice in a cookie.

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!(form instanceof HTMLFormElement) || !form.matches(".theme")) return;
  const chosen = event.submitter instanceof HTMLButtonElement ? event.submitter.value : "auto";
  event.preventDefault();
  const fields = new URLSearchParams();
  for (const [name, value] of new FormData(form, event.submitter)) fields.set(name, String(value));
  const reply = await fetch(form.action, { method: "POST", body: fields, redirect: "manual" }).catch(() => undefined);
  if (!reply || (reply.type !== "opaqueredirect" && !reply.ok)) {
    // Another process than the one that made this page: its own page says what to do.
    form.submit();
    return;
  }
  if (chosen === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
  const meta = document.querySelector("meta[name=color-scheme]");
  meta?.setAttribute("content", chosen === "auto" ? "light dark" : chosen);
  for (const button of form.querySelectorAll("button[name=theme]")) {
    button.setAttribute("aria-pressed", String(button.getAttribute("value") === chosen));
  }
});
