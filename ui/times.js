// Times in the reader's zone, with UTC in the title; ages that go on. The server writes UTC, since it does not know.

const TWO = (/** @type {number} */ n) => String(n).padStart(2, "0");
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** @param {Date} at @param {string} utc the text in UTC, whose form is kept */
function inZone(at, utc) {
  const day = `${at.getDate()} ${MONTHS[at.getMonth()]}`;
  return utc
    .replace(/\d{1,2} [A-Z][a-z]{2} \d{4}/, `${day} ${at.getFullYear()}`)
    .replace(/^\d{1,2} [A-Z][a-z]{2}(?! \d{4})/, day)
    .replace(/\d\d:\d\d(:\d\d)?/, (clock) => `${TWO(at.getHours())}:${TWO(at.getMinutes())}${clock.length > 5 ? ":" + TWO(at.getSeconds()) : ""}`)
    .replace(/ UTC$/, "");
}

/** Puts every time below `root` into the reader's zone. @param {ParentNode} root */
function localise(root) {
  for (const time of root.querySelectorAll("time[datetime]:not([data-zone])")) {
    const at = new Date(time.getAttribute("datetime") ?? "");
    if (!(time instanceof HTMLElement) || Number.isNaN(at.getTime())) continue;
    time.dataset.zone = "";
    if (!time.title) time.title = at.toISOString().replace("T", " ").replace("Z", " UTC");
    if (at.getTimezoneOffset() !== 0 && time.childElementCount === 0) time.textContent = inZone(at, time.textContent ?? "");
  }
}

/** How long ago, as the server says it. @param {number} seconds */
function age(seconds) {
  if (seconds < 60) return `${Math.max(0, Math.floor(seconds))} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return seconds < 86400 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86400)} d`;
}

function grow() {
  if (document.hidden) return;
  for (const row of document.querySelectorAll(".row")) {
    const at = Date.parse(row.querySelector("time")?.getAttribute("datetime") ?? "");
    const shown = row.querySelector(".age");
    const text = age((Date.now() - at) / 1000);
    if (shown && !Number.isNaN(at) && shown.textContent !== text) shown.textContent = text;
  }
}

localise(document);
for (const change of ["hookgate:page", "hookgate:rows", "hookgate:times"]) document.addEventListener(change, () => localise(document));
setInterval(grow, 5000);
