// One stream for a page that can be seen: it says how far the log is. Browsers allow few connections to a host, so it
// is closed while the page is hidden; the first message after that says how far the log is by then.

/** Seconds until the stream is asked for again. */
const RETRY = [1, 2, 5, 10];

/** @type {EventSource | undefined} */
let stream;
/** @type {number | undefined} */
let retry;
let failures = 0;
/** @type {((news: {seq: number, kept: number}) => void) | undefined} */
let told;

/** Tells `head` whatever is new from now on; nothing: the page is not live. @param {typeof told} head */
export function follow(head) {
  told = head;
  connect();
}

function connect() {
  clearTimeout(retry);
  if (document.hidden || !told) {
    stream?.close();
    stream = undefined;
    return;
  }
  if (stream) return;
  const mine = new EventSource("/api/v1/deliveries/stream?heads=1");
  stream = mine;
  mine.addEventListener("open", () => {
    failures = 0;
    document.querySelector("[data-lost]")?.remove();
    hideNotices();
  });
  mine.addEventListener("head", (event) => told?.(JSON.parse(event.data)));
  mine.addEventListener("error", () => {
    if (stream !== mine) return;
    mine.close();
    stream = undefined;
    const seconds = RETRY[Math.min(failures, RETRY.length - 1)] ?? 10;
    failures += 1;
    tellLost(seconds);
    retry = window.setTimeout(connect, seconds * 1000);
  });
}

/** @param {number} seconds */
function tellLost(seconds) {
  const bar = /** @type {HTMLElement | null} */ (document.querySelector("[data-notices]"));
  if (!bar) return;
  let notice = /** @type {HTMLElement | null} */ (document.querySelector("[data-lost]"));
  if (!notice) {
    notice = Object.assign(document.createElement("p"), { className: "notice", role: "status" });
    notice.dataset.icon = "triangle";
    notice.dataset.lost = "";
    const strong = document.createElement("strong");
    strong.textContent = "This page has lost its stream";
    const now = Object.assign(document.createElement("button"), { type: "button", textContent: "Try now", onclick: connect });
    notice.append(strong, document.createElement("span"), now);
    bar.append(notice);
  }
  const words = notice.querySelector("span");
  if (words) words.textContent = `What is new does not show up. Trying again ${seconds === 1 ? "in a second" : `every ${seconds} seconds`}.`;
  bar.hidden = false;
}

function hideNotices() {
  const bar = /** @type {HTMLElement | null} */ (document.querySelector("[data-notices]"));
  if (bar && !bar.querySelector(".notice")) bar.hidden = true;
}

document.addEventListener("visibilitychange", connect);
