// What people do on the pages, with and without scripts: retry and discard dead letters, hold and resume a sink,
// replay; and that none of these pages has a finding.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { audit, Browser, Gateway, slug } from "./harness.mjs";

/** What a sender may put anywhere. */
const HOSTILE = `<script>document.title="owned"</script><svg onload=alert(1)>\u202eabc\u202c\u001b[31mred "quoted" '`;

/** A receiver that answers what it is told to. */
class Receiver {
  constructor() {
    this.status = 204;
    this.body = "";
    /** @type {any[]} */
    this.got = [];
    this.server = createServer((request, reply) => {
      let text = "";
      request.on("data", (part) => (text += part));
      request.on("end", () => {
        if (this.status < 300) this.got.push(...[JSON.parse(text)].flat());
        reply.writeHead(this.status).end(this.body);
      });
    });
  }

  async start() {
    await new Promise((done) => this.server.listen(0, "127.0.0.1", () => done(undefined)));
    const address = this.server.address();
    return address && typeof address === "object" ? `http://127.0.0.1:${address.port}/` : "";
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}

const receiver = new Receiver();
/** @type {Gateway} */
let gateway;
/** @type {Browser} */
let browser;

/** Waits until something holds. */
async function until(/** @type {() => Promise<boolean>} */ holds, what = "it") {
  const end = Date.now() + 30_000;
  while (!(await holds())) {
    assert.ok(Date.now() < end, `${what} does not happen`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

/** Sends a request that the receiver refuses for good, and waits for the dead letter. */
async function refused(/** @type {unknown} */ body) {
  const before = (await gateway.api("/api/v1/dead-letters")).data.length;
  receiver.status = 422;
  receiver.body = HOSTILE;
  const reply = await gateway.json("orders", body);
  assert.equal(reply.status, 204);
  await until(async () => (await gateway.api("/api/v1/dead-letters")).data.length > before, "the dead letter");
  receiver.status = 204;
  return reply.headers.get("hookgate-delivery");
}

before(async () => {
  const url = await receiver.start();
  const toml = `
[[webhook]]
name = "orders"
slug = "${slug("orders")}"
event = { event = "shop.{{ body.type }}", resource = { "prefect.resource.id" = "order.{{ body.id }}" }, payload = "{{ body }}" }

[[sink]]
name = "receiver"
kind = "http"
url = "${url}"
token = { env = "RECEIVER_TOKEN" }
`;
  gateway = await Gateway.start(toml, { env: { RECEIVER_TOKEN: "fake-receiver-token-0001" } });
  browser = await Browser.start();
});
after(async () => {
  await browser?.stop();
  await gateway?.stop();
  receiver.stop();
});

for (const javaScriptEnabled of [true, false]) {
  const how = javaScriptEnabled ? "with scripts" : "without scripts";

  test(`dead letters are retried after a plan, ${how}`, async (t) => {
    const page = await browser.page(t, { javaScriptEnabled });
    const id = `retry-${javaScriptEnabled}`;
    await refused({ type: "created", id });
    await page.goto(`${gateway.admin}/dead-letters`);
    await page.getByRole("link", { name: /^Retry all/ }).click();
    await page.getByRole("heading", { name: /^Plan: send 1 event again/ }).waitFor();
    await page.getByRole("button", { name: "Retry 1 now" }).click();
    await page.getByText("1 event delivered.").waitFor();
    await page.getByText("Nothing is stuck").waitFor();
    assert.ok(receiver.got.some((event) => JSON.stringify(event).includes(id)));
  });

  test(`a discard wants a reason and the number, ${how}`, async (t) => {
    const page = await browser.page(t, { javaScriptEnabled });
    await refused({ type: HOSTILE, id: HOSTILE, [HOSTILE]: HOSTILE });
    await page.goto(`${gateway.admin}/dead-letters`);
    assert.notEqual(await page.title(), "owned");
    assert.equal(await page.locator("main script, main svg").count(), 0);
    assert.match(await page.locator("main").innerText(), /<script>document\.title="owned"<\/script>/);
    await page.getByRole("button", { name: /^Discard…/ }).click();
    await page.getByLabel("Reason, for the audit log").fill("a test");
    await page.getByLabel(/^Type 1 to confirm/).fill("1");
    await page.getByRole("button", { name: "Discard 1", exact: true }).click();
    await page.getByText("1 event discarded.").waitFor();
  });

  test(`a sink is tested, held and let go, ${how}`, async (t) => {
    const page = await browser.page(t, { javaScriptEnabled });
    await page.goto(`${gateway.admin}/sinks`);
    await page.getByRole("button", { name: "Test receiver" }).click();
    await page.getByText("It has the test event").waitFor();
    await page.getByRole("button", { name: "Hold receiver" }).click();
    await page.getByText("receiver is held").waitFor();
    const got = receiver.got.length;
    await gateway.json("orders", { type: "held", id: `held-${javaScriptEnabled}` });
    assert.equal(receiver.got.length, got);
    await page.getByRole("button", { name: "Resume receiver" }).click();
    await page.getByRole("heading", { level: 1, name: /^Ok/ }).waitFor();
    await until(async () => receiver.got.some((event) => JSON.stringify(event).includes(`held-${javaScriptEnabled}`)), "the event");
  });

  test(`a delivery is replayed, ${how}`, async (t) => {
    const page = await browser.page(t, { javaScriptEnabled });
    const reply = await gateway.json("orders", { type: "replay", id: `replayed-${javaScriptEnabled}` });
    const delivery = reply.headers.get("hookgate-delivery");
    await until(async () => (await fetch(`${gateway.admin}/deliveries/${delivery}`)).status === 200, "the page");
    await page.goto(`${gateway.admin}/deliveries/${delivery}`);
    await page.getByRole("button", { name: /^Replay/ }).click();
    await page.getByText("This is the replay").waitFor();
    assert.ok(!page.url().includes(String(delivery)));
    await page.goto(`${gateway.admin}/deliveries/${delivery}`);
    await page.getByText("It was replayed:").waitFor();
  });
}

test("none of these pages has a finding", async (t) => {
  await audit(browser, t, `${gateway.admin}/dead-letters`, "dead-letters-none");
  const delivery = await refused({ type: HOSTILE, id: HOSTILE });
  await refused({ type: "created", id: 8812 });
  await audit(browser, t, `${gateway.admin}/dead-letters`, "dead-letters");
  await audit(browser, t, `${gateway.admin}/dead-letters?plan=retry`, "dead-letters-plan");
  await audit(browser, t, `${gateway.admin}/sinks`, "sinks");
  await audit(browser, t, `${gateway.admin}/sinks/receiver`, "sink");
  await audit(browser, t, `${gateway.admin}/deliveries/${delivery}`, "delivery-dead");
  receiver.status = 401;
  receiver.body = "no";
  await gateway.json("orders", { type: "created", id: 1 });
  await until(async () => (await gateway.api("/api/v1/sinks/receiver")).state === "misconfigured", "the refusal");
  await audit(browser, t, `${gateway.admin}/sinks/receiver`, "sink-misconfigured");
  const page = await browser.page(t);
  await page.goto(`${gateway.admin}/sinks`);
  assert.match(await page.locator("main").innerText(), /RECEIVER_TOKEN/);
  receiver.status = 204;
});

/** A gateway that wants a token. */
async function closed(/** @type {import("node:test").TestContext} */ t) {
  const toml = `
[[webhook]]
name = "orders"
slug = "${slug("orders")}"
event = { event = "e", resource = { "prefect.resource.id" = "r" } }
`;
  const env = { TEST_ADMIN_TOKEN: "fake-admin-token-0001" };
  const other = await Gateway.start(toml, { env, server: 'admin_token = { env = "TEST_ADMIN_TOKEN" }' });
  t.after(() => other.stop());
  return other;
}

for (const javaScriptEnabled of [true, false]) {
  test(`one signs in with a token and out again, ${javaScriptEnabled ? "with" : "without"} scripts`, async (t) => {
    const other = await closed(t);
    const page = await browser.page(t, { javaScriptEnabled });
    await page.goto(`${other.admin}/settings?tab=tokens`);
    await page.getByRole("heading", { level: 1, name: "Sign in" }).waitFor();
    await page.getByLabel("Token").fill("fake-wrong-token-0001");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("Not signed in").waitFor();
    await page.getByLabel("Token").fill("fake-admin-token-0001");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("heading", { level: 1, name: "Settings" }).waitFor();
    const [cookie] = (await page.context().cookies()).filter((each) => each.name === "hookgate");
    assert.ok(cookie.httpOnly && cookie.sameSite === "Strict");

    await page.getByLabel("Name, such as what it is for").fill(HOSTILE.slice(0, 40));
    await page.getByRole("checkbox", { name: "sinks" }).check();
    await page.getByRole("button", { name: "Make it" }).click();
    const token = (await page.locator(".text code").first().innerText()).trim();
    assert.match(token, /^hg_[0-9a-f]{12}_[0-9a-f]{64}$/);
    const asked = async (/** @type {string} */ path) =>
      (await fetch(other.admin + path, { headers: { authorization: `Bearer ${token}` } })).status;
    assert.deepEqual([await asked("/api/v1/sinks"), await asked("/api/v1/events")], [200, 403]);
    await page.goto(`${other.admin}/settings?tab=tokens`);
    assert.ok(!(await page.content()).includes(token));
    await page.getByRole("button", { name: /^Revoke/ }).click();
    await page.getByText("No token is stored").waitFor();
    assert.equal(await asked("/api/v1/sinks"), 401);

    await until(async () => {
      await page.goto(`${other.admin}/audit`);
      return (await page.locator("tbody tr").count()) >= 3;
    }, "the audit log");
    assert.match(await page.locator("main").innerText(), /signed in/);
    assert.equal(await page.locator("main script, main svg").count(), 0);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByText("Signed out").waitFor();
    await page.goto(`${other.admin}/sinks`);
    await page.getByRole("heading", { level: 1, name: "Sign in" }).waitFor();
    for (const text of [other.errors, await page.content()]) {
      assert.ok(!text.includes(token) && !text.includes("fake-admin-token-0001"));
    }
  });
}

test("sign-in, settings and audit have no finding", async (t) => {
  const other = await closed(t);
  await audit(browser, t, `${other.admin}/sign-in?wrong=1`, "sign-in");
  await audit(browser, t, `${gateway.admin}/settings`, "settings");
  await audit(browser, t, `${gateway.admin}/settings?tab=tokens`, "settings-tokens");
  await audit(browser, t, `${gateway.admin}/settings?tab=storage`, "settings-storage");
  await audit(browser, t, `${gateway.admin}/settings?tab=about`, "settings-about");
  await audit(browser, t, `${gateway.admin}/audit`, "audit");
  await audit(browser, t, `${gateway.admin}/audit?who=loopback&what=sinks`, "audit-narrow");
});
