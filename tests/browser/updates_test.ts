/**
 * A rollout as its operators see it: made in the console, approved by another, stopped by itself where
 * its threshold says, resumed, finished. The boxes are clients of DDI that tell what a box would tell.
 */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { type DdiClient, feedback, layOut, UpdateDesk } from "../../district/testing/updates.ts";
import { TestDistrict } from "../../district/testing/district.ts";
import { clock, ensureConsole, launchChromium, shoot, WEB_DIST } from "./rig.ts";

const BOXES = 60;
const RELEASE = "app/1.2.3/gatehouse.tar.zst";
const NEXT = "app/1.3.0/gatehouse.tar.zst";
const WHY = "unhealthy: reader in was online and is not any more";

/** Has every client ask once, and tell at once how it went, until `most` have told. */
async function round(
  clients: readonly DdiClient[],
  failing: (id: string) => boolean,
  most = Infinity,
): Promise<void> {
  let count = 0;
  for (const client of clients) {
    const { deploymentBase } = await client.poll();
    const action = /deploymentBase\/(\d+)/.exec(deploymentBase ?? "")?.[1];
    if (action === undefined) continue;
    const told = failing(client.id)
      ? feedback("closed", "failure", WHY)
      : feedback("closed", "success", "1.2.3 is installed");
    const { status } = await client.request("POST", `/deploymentBase/${action}/feedback`, told);
    assert.equal(status, 200);
    if (++count >= most) return;
  }
}

Deno.test("operators bring a release to every box from the console, and it stops by itself", async (t) => {
  await ensureConsole();
  const dir = await Deno.makeTempDir({ prefix: "gatehouse-updates-" });
  console.log(`screenshots: ${dir}`);
  await using stack = new AsyncDisposableStack();
  const test = stack.use(await TestDistrict.open(clock, { webDir: WEB_DIST }));
  layOut(test.dataDir, RELEASE, "a release", "1.2.3");
  const desk = new UpdateDesk(test);
  const clients: DdiClient[] = [];
  for (let i = 0; i < BOXES; i++) {
    clients.push(await desk.client(`gate-${i}`, { school: "north" }));
  }
  await desk.client("elsewhere", { school: "south" });
  await desk.ok("wang", "GET", "rollouts");
  const browser = await launchChromium();
  stack.defer(() => browser.close());
  const faults: string[] = [];
  const enter = async (operator: string, locale: string, width: number, dark: boolean) => {
    const context = await browser.newContext({
      ...{ ignoreHTTPSErrors: true, locale, viewport: { width, height: 900 } },
      ...{ colorScheme: dark ? "dark" as const : "light" as const, timezoneId: "Asia/Shanghai" },
    });
    context.setDefaultTimeout(15_000);
    const page = await context.newPage();
    page.on("pageerror", (error) => faults.push(String(error)));
    const zh = locale === "zh-CN";
    await page.goto(`${test.district.url}/#/updates`);
    await page.getByLabel(zh ? "用户名" : "Name").fill(operator);
    await page.getByLabel(zh ? "密码" : "Password").fill(`password of ${operator}`);
    await page.getByRole("button", { name: zh ? "登录" : "Log in" }).click();
    return page;
  };
  await desk.ok("li", "GET", "rollouts");
  const li = await enter("li", "zh-CN", 1280, false);
  const wang = await enter("wang", "en-US", 390, true);
  const look = async (name: string) => {
    await shoot(li, dir, name);
    await shoot(wang, dir, `${name}-en-phone`);
  };
  const status = (page: Page, wanted: string) =>
    page.locator(`.rollout[data-status="${wanted}"]`).waitFor();
  const click = (page: Page, action: string) =>
    page.locator(`.rollout [data-action="${action}"]`).click();

  await t.step("made, and refused where it makes no sense", async () => {
    await li.getByText("还没有升级任务").waitFor();
    await look("01-none");
    await li.getByRole("button", { name: "新建升级任务" }).click();
    await li.getByLabel("名称").fill("寒假升级");
    await li.getByLabel("版本").click();
    await li.locator(".ant-select-item-option-content").getByText(RELEASE).click();
    await li.getByLabel("批次").fill("50, 20");
    await li.getByRole("button", { name: "创建并提交" }).click();
    await li.getByText("递增的整数").waitFor();
    await li.getByLabel("批次").fill("5, 50, 100");
    await li.getByLabel("仅限带有以下标签的门禁箱").fill("canary");
    await li.getByLabel("从", { exact: false }).fill("19:00");
    await li.getByRole("button", { name: "创建并提交" }).click();
    await li.locator(".ant-form-item-explain-error").getByText("两个时间都填写").waitFor();
    await li.locator(".ant-form-item-explain-error").getByText("school=north").waitFor();
    await li.getByLabel("到", { exact: true }).fill("05:30");
    await li.getByLabel("仅限带有以下标签的门禁箱").fill("school=north");
    await li.getByLabel("以下日期不切换").fill("2027-06-07，2027-06-08");
    await li.getByLabel("持续生效").check();
    await li.getByLabel("门禁箱无回报超过此时间计为失败").fill("72");
    await shoot(li, dir, "02-new");
    await li.getByRole("button", { name: "创建并提交" }).click();
    await status(li, "awaiting-approval");
    const [{ window, groups, standing, silentAfterHours }] = await desk.ok("li", "GET", "rollouts");
    assert.deepEqual(window, {
      timezone: "Asia/Shanghai",
      weekly: [{ days: [1, 2, 3, 4, 5, 6, 7], from: "19:00", to: "05:30" }],
      notOn: ["2027-06-07", "2027-06-08"],
    });
    assert.deepEqual([standing, silentAfterHours], [true, 72]);
    // One box has another school's label.
    assert.equal(groups.reduce((sum: number, one: { boxes: number }) => sum + one.boxes, 0), BOXES);
    // Nobody approves what is his own.
    await click(li, "approve");
    await li.locator(".ant-message-error").waitFor();
    await status(li, "awaiting-approval");
  });

  await t.step("approved by another, drawn live, stopped by itself", async () => {
    await status(wang, "awaiting-approval");
    await look("03-awaiting");
    await click(wang, "approve");
    await status(li, "running");
    await round(clients, () => false, 3);
    // The canaries are through: the page says so without being loaded anew.
    await li.locator('.rollout-stages li:nth-child(2)[data-present="true"]').waitFor();
    await li.getByText("已安装 3 · 失败 0 · 剩余 57").waitFor();
    await round(clients, (id) => Number(id.slice(5)) % 3 === 0);
    await status(li, "paused");
    await li.getByText("已自动停止").waitFor();
    // Its kind is in the reader's language, the rest in the box's own words.
    await wang.getByText("Not well, taken back: reader in was online").first().waitFor();
    await li.getByText("运行异常，已退回: reader in was online").first().waitFor();
    await li.getByText(/^自动停止：.*台失败/).waitFor();
    await look("04-stopped");
  });

  await t.step("resumed, and through; each box stands where it said", async () => {
    await click(wang, "resume");
    await status(li, "running");
    for (let tries = 0; tries < 4; tries++) await round(clients, () => false);
    await status(li, "standing");
    await look("05-ended");
    const [rollout] = await desk.ok("li", "GET", "rollouts");
    const targets = await desk.ok("li", "GET", `rollouts/${rollout.id}/targets?limit=1000`);
    const failed = targets.filter((one: { state: string }) => one.state === "failed").length;
    const installed = targets.filter((one: { state: string }) => one.state === "installed").length;
    await li.getByText(`已安装 ${installed} · 失败 ${failed} · 剩余 ${BOXES - installed - failed}`)
      .first().waitFor();
    assert.ok(failed > 0 && installed > 0);
  });

  await t.step("it stays open: a box that joins the school gets it too, and is seen", async () => {
    const late = await desk.client("gate-late", { school: "north" });
    await round([late], () => false);
    await li.locator(".rollout-stages").getByText("后来加入的门禁箱").waitFor();
    await look("06-joined");
    await desk.ok("li", "DELETE", "controllers/gate-late");
  });

  await t.step("taken back after a question, but for boxes that had nothing before", async () => {
    layOut(test.dataDir, NEXT, "another release", "1.3.0", true);
    await desk.ok("li", "POST", "releases", { path: NEXT });
    const { id } = await desk.rollout(NEXT);
    await round(clients, () => false, 10);
    const before = await desk.ok("li", "GET", "rollouts");
    const failed = await desk.ok("li", "GET", `rollouts/${before.at(-1).id}/targets?state=failed`);
    const first = clients.slice(0, 10).map((client) => client.id);
    const left = failed.filter((one: { controllerId: string }) => first.includes(one.controllerId));
    const made = li.locator(`.rollout[data-rollout="${id}"]`);
    await made.locator(".rollout-head").click();
    await made.locator('[data-action="roll-back"]').click();
    await li.getByText("立即恢复到之前的版本").waitFor();
    await look("07-ask");
    await li.locator(".ant-modal-confirm-btns .ant-btn-dangerous").click();
    await li.getByText(`${10 - left.length} 台门禁箱正在回退`).waitFor();
    await look("08-back");
    const [back] = await desk.ok("li", "GET", "rollouts");
    assert.deepEqual([back.status, back.release], ["running", RELEASE]);
    assert.equal(back.groups[0].boxes, 10 - left.length);
  });
  assert.deepEqual(faults, []);
});
