// Every page, in both themes and down to 320 px: no finding of axe, no sideways scroll, no request to another host.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { audit, Browser, Gateway, slug } from "./harness.mjs";

const WEBHOOKS = `
[[webhook]]
name = "orders"
slug = "${slug("orders")}"
event = { event = "shop.{{ body.type }}", resource = { "prefect.resource.id" = "order.{{ body.id }}", "prefect.resource.name" = "Order {{ body.id }}" }, payload = "{{ body }}" }

[[webhook]]
name = "strict"
slug = "${slug("strict")}"
undefined = "error"
template = { inline = """
{
  "event": "shop.order",
  "resource": { "prefect.resource.id": "order.{{ body.orderid }}" }
}
""" }

[[webhook]]
name = "signed"
slug = "${slug("signed")}"
event = { event = "signed", resource = { "prefect.resource.id" = "signed" } }
verify = { scheme = "hmac-sha256", header = "X-Signature", secret = { env = "TEST_SECRET" } }
`;

/** What a sender may put anywhere. */
const HOSTILE = `<script>document.title="owned"</script><svg onload=alert(1)>\u202eabc\u202c\u001b[31mred "quoted" '`;

/** @type {Gateway} */
let gateway;
/** @type {Browser} */
let browser;
/** @type {Record<string, string>} */
const paths = { feed: "/", "feed-deliveries": "/?show=deliveries", "feed-none": "/?q=webhook:nobody", "feed-wrong": "/?q=resouce:x" };

before(async () => {
  gateway = await Gateway.start(WEBHOOKS, { env: { TEST_SECRET: "fake-secret-for-tests-0001" } });
  browser = await Browser.start();
  const accepted = await gateway.json("orders", { type: "created", id: 8812, items: [{ sku: "a" }, { sku: "b" }] });
  const hostile = await gateway.json("orders", { type: HOSTILE, id: HOSTILE, [HOSTILE]: HOSTILE }, { "x-note": "<b>bold</b>" });
  const parked = await gateway.json("strict", { order_id: 7 });
  const rejected = await gateway.json("signed", { a: 1 }, { "x-signature": "00ff" });
  assert.deepEqual([accepted.status, hostile.status, parked.status, rejected.status], [204, 204, 400, 401]);
  const delivery = accepted.headers.get("hookgate-delivery");
  paths.delivery = `/deliveries/${delivery}`;
  paths["delivery-hostile"] = `/deliveries/${hostile.headers.get("hookgate-delivery")}`;
  paths["delivery-parked"] = `/deliveries/${parked.headers.get("hookgate-delivery")}`;
  const { data } = await gateway.api("/api/v1/deliveries?q=outcome:rejected");
  paths["delivery-rejected"] = `/deliveries/${data[0].id}`;
  const { events } = await gateway.api(`/api/v1/deliveries/${delivery}`);
  paths.event = `/events/${events[0].id}`;
});
after(async () => {
  await browser?.stop();
  await gateway?.stop();
});

for (const name of ["feed", "feed-deliveries", "feed-none", "feed-wrong", "delivery", "delivery-hostile", "delivery-parked", "delivery-rejected", "event"]) {
  test(`the page ${name} has no finding`, async (t) => {
    await audit(browser, t, gateway.admin + paths[name], name);
  });
}

test("the pages of the error codes have no finding", async (t) => {
  await audit(browser, t, `${gateway.admin}/docs/errors/HG0312`, "code");
});

test("what a sender sent is shown as text", async (t) => {
  for (const name of ["feed", "delivery-hostile"]) {
    const page = await browser.page(t);
    await page.goto(gateway.admin + paths[name]);
    assert.notEqual(await page.title(), "owned");
    assert.equal(await page.locator("main script, main svg[onload]").count(), 0);
    assert.match(await page.locator("main").innerText(), /<script>document\.title="owned"<\/script>/);
  }
});
