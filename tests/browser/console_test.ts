import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { join } from "node:path";
import type { Page } from "playwright-core";
import type { EventView } from "../../district/api/types.ts";
import { clock, ensureConsole, launchChromium, shoot, SimulatedBox, startDistrict } from "./rig.ts";

/** What the console promises for events. */
const LIVE_MS_MAX = 1_000;
const SETTINGS = {
  holidays: [{ id: "national-day", name: "国庆节", from: "2026-10-01", to: "2026-10-07" }],
  schedules: [{
    id: "school-hours",
    name: "上课时间",
    weekly: [{
      days: ["mon", "tue", "wed", "thu", "fri"],
      intervals: [{ from: "06:30", to: "12:00" }, { from: "13:30", to: "18:30" }],
    }],
    onHolidays: [],
  }],
  accessLevels: [
    { id: "student", name: "学生", grants: [{ doors: ["main"], schedule: "always" }] },
    {
      id: "staff",
      name: "教职工",
      grants: [{ doors: ["*"], schedule: "always" }],
    },
  ],
};
const GOOD_CSV = [
  "学号,姓名,权限,卡位数,卡号十六进制",
  "2026001,李华,student,32,04a1b2c3",
  "2026002,王芳,staff,32,04d5e6f7",
].join("\r\n");
const BAD_CSV = [
  "number,name,access levels,card bits,card hex",
  "2026001,Li Hua,student,32,04a1b2c3",
  "2026009,Nobody,no-such-level,32,04a1b2c3",
].join("\n");

/** The first console, from an empty district to a granted card. */
Deno.test("an operator works a real box from the console", async (t) => {
  await ensureConsole();
  const dir = await Deno.makeTempDir({ prefix: "gatehouse-console-" });
  console.log(`screenshots: ${dir}`);
  await using stack = new AsyncDisposableStack();
  const district = await startDistrict(join(dir, "district"));
  stack.use(district.program);
  const box = stack.use(await SimulatedBox.create(dir));
  const browser = await launchChromium();
  stack.defer(() => browser.close());
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    locale: "zh-CN",
    timezoneId: "Asia/Shanghai",
    viewport: { width: 1280, height: 800 },
  });
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  const faults: string[] = [];
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("console", (message) => {
    // The browser itself reports 401 and the like; those are part of the plan.
    if (message.type() === "error" && !/Failed to load resource/.test(message.text())) {
      faults.push(message.text());
    }
  });
  const step = async (name: string, run: () => Promise<void>) => {
    const passed = await t.step(name, async () => {
      try {
        await run();
      } catch (error) {
        await shoot(page, dir, "failed").catch(() => {});
        console.log(box.output().slice(-4_000));
        throw error;
      }
    });
    assert(passed, name);
  };

  await step("says that a password is wrong, then logs in", async () => {
    await page.goto(district.url);
    await page.getByLabel("用户名").fill(district.username);
    await page.getByLabel("密码").fill("not the password");
    await page.getByRole("button", { name: "登录" }).click();
    await page.getByText("用户名或密码错误").waitFor();
    await shoot(page, dir, "01-login-wrong");
    await page.getByLabel("密码").fill(district.password);
    await page.getByRole("button", { name: "登录" }).click();
    await page.getByText("还没有门禁箱").waitFor();
    await page.locator('.live[data-connection="live"]').waitFor();
    await shoot(page, dir, "02-no-box");
  });

  await step("adds a box with a token from the page", async () => {
    await page.getByRole("button", { name: "添加门禁箱" }).click();
    const line = await page.locator(".command-line").innerText();
    await shoot(page, dir, "03-add-box");
    const token = /--token\s+(\S+)/.exec(line)?.[1];
    assert(token, line);
    await box.enrol(district.url, token);
    await box.start();
    await page.getByText("east-gate 已注册").waitFor();
    await page.keyboard.press("Escape");
    await page.locator('.box[data-online="true"] .door[data-door="main"]').waitFor();
    await page.locator('.readers li[data-state="online"]').nth(1).waitFor();
    await shoot(page, dir, "04-box-online");
  });

  await step("shows a tap within a second, with the card's number", async () => {
    await page.getByRole("link", { name: "实时事件" }).click();
    await page.locator(".event").first().waitFor();
    const row = page.locator('.event[data-kind="access.denied"]').first();
    const startMs = clock.monotonicMs();
    await box.tap("in", 32, "04a1b2c3");
    await row.waitFor();
    const tookMs = clock.monotonicMs() - startMs;
    console.log(`tap to page: ${Math.round(tookMs)} ms`);
    assert(tookMs < LIVE_MS_MAX, `${tookMs} ms`);
    assert.match(await row.innerText(), /32 位 · 04a1b2c3/);
    await shoot(page, dir, "05-unknown-card");
  });

  await step("opens the door, and the relay is driven", async () => {
    await page.getByRole("link", { name: "门禁箱" }).click();
    const door = page.locator('.door[data-door="main"]');
    await door.locator('[data-action="open"]').click();
    await door.locator('.command-note[data-state="done"]').waitFor();
    await shoot(page, dir, "06-door-opened");
    const relay = await eventually(
      page,
      ({ event }) =>
        event.kind === "output.changed" && event.output === "main-lock" && event.active,
    );
    assert.equal(relay.boxName, "east-gate");
    await eventually(
      page,
      ({ event }) =>
        event.kind === "output.changed" && event.output === "main-lock" && !event.active,
    );
  });

  await step("locks the door down only after asking, and sets it back", async () => {
    const door = page.locator('.door[data-door="main"]');
    await door.locator('[data-action="locked"]').click();
    await page.locator(".ant-modal-confirm-title").filter({ hasText: "锁定 main" }).waitFor();
    await shoot(page, dir, "07-confirm-lock");
    await page.locator(".ant-modal-confirm .ant-btn-dangerous").click();
    await door.locator('[data-tag="locked"]').waitFor();
    await door.locator('[data-action="normal"]').click();
    await door.locator('[data-tag="locked"]').waitFor({ state: "detached" });
  });

  await step("shows a killed box offline, and its return", async () => {
    await box.kill();
    await page.locator('.box[data-online="false"]').waitFor({ timeout: 60_000 });
    const open = page.locator('.door[data-door="main"] [data-action="open"]');
    assert(await open.isDisabled());
    await shoot(page, dir, "08-box-offline");
    await box.start();
    await page.locator('.box[data-online="true"]').waitFor({ timeout: 60_000 });
    assert(await open.isEnabled());
  });

  await step("imports a list after a dry run, faults by line", async () => {
    await put(page, "/api/policy", SETTINGS);
    await page.getByRole("link", { name: "持卡人" }).click();
    await page.getByRole("button", { name: "导入 CSV" }).first().click();
    await upload(page, BAD_CSV);
    const faultRow = page.locator(".faults tr.ant-table-row").filter({ hasText: "no-such-level" });
    await faultRow.waitFor();
    assert.match(await faultRow.innerText(), /^3\s/);
    await shoot(page, dir, "09-import-faults");
    await page.getByRole("button", { name: "换一个文件" }).click();
    await upload(page, GOOD_CSV);
    await page.locator('[data-figure="added"] dd').filter({ hasText: /^2$/ }).waitFor();
    await shoot(page, dir, "10-import-dry-run");
    await page.getByRole("button", { name: "导入 2 项变更" }).click();
    await page.getByText("导入完成").waitFor();
    await page.locator(".ant-modal-footer .ant-btn-primary").click();
    await page.getByText("李华").waitFor();
    await shoot(page, dir, "11-cardholders");
  });

  await step("the new card is granted", async () => {
    await eventually(page, ({ event }) => event.kind === "policy.applied");
    await page.getByRole("link", { name: "实时事件" }).click();
    await page.locator(".event").first().waitFor();
    await box.tap("in", 32, "04a1b2c3");
    const row = page.locator('.event[data-kind="access.granted"]').first();
    await row.waitFor();
    assert.match(await row.innerText(), /李华 通过 main/);
    await shoot(page, dir, "12-granted");
  });

  await step("edits hours, and the district keeps them", async () => {
    await page.getByRole("link", { name: "权限" }).click();
    await page.getByText("教职工").waitFor();
    await shoot(page, dir, "13-access-levels");
    await page.getByRole("tab", { name: /时段/ }).click();
    await page.locator(".week").waitFor();
    await page.getByRole("button", { name: "编辑 上课时间" }).click();
    await page.locator("#hours_sat").fill("9:00-11:30");
    await shoot(page, dir, "14-schedule-editor");
    await page.locator(".ant-modal-footer .ant-btn-primary").click();
    await page.getByText("09:00–11:30").waitFor();
    await shoot(page, dir, "15-schedules");
    const saved = await page.evaluate(async () => await (await fetch("/api/policy")).json());
    assert.deepEqual(saved.schedules[0].weekly[1], {
      days: ["sat"],
      intervals: [{ from: "09:00", to: "11:30" }],
    });
  });

  await step("speaks English, fits a phone, and goes dark", async () => {
    await page.getByText("EN", { exact: true }).click();
    for (const [name, path] of [["boxes", "boxes"], ["events", "events"], ["people", "people"]]) {
      await page.goto(`${district.url}/#/${path}`);
      await page.getByRole("heading", { level: 1 }).waitFor();
      await shoot(page, dir, `16-en-${name}`);
    }
    await page.setViewportSize({ width: 390, height: 844 });
    for (const path of ["boxes", "events", "people", "access"]) {
      await page.goto(`${district.url}/#/${path}`);
      await page.getByRole("heading", { level: 1 }).waitFor();
      await shoot(page, dir, `17-phone-${path}`);
      const wide = Number(await page.evaluate("document.documentElement.scrollWidth"));
      assert(wide <= 390, `${path} is ${wide} px wide on a phone`);
    }
    await page.setViewportSize({ width: 1280, height: 800 });
    await page.getByRole("button", { name: "Light or dark" }).click();
    await page.goto(`${district.url}/#/boxes`);
    await shoot(page, dir, "18-dark-boxes");
    await page.goto(`${district.url}/#/events`);
    await shoot(page, dir, "19-dark-events");
  });

  await step("logs out, and no page is left to see", async () => {
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByLabel("Password").waitFor();
    await page.reload();
    await page.getByLabel("Password").waitFor();
  });
  assert.deepEqual(faults, []);
});

/** Asks the district's own record until an event fits. */
async function eventually(page: Page, fits: (event: EventView) => boolean): Promise<EventView> {
  const untilMs = clock.monotonicMs() + 10_000;
  let events: EventView[] = [];
  while (clock.monotonicMs() < untilMs) {
    events = await page.evaluate(async () => await (await fetch("/api/events?limit=200")).json());
    const found = events.find(fits);
    if (found !== undefined) return found;
    await clock.sleep(100, new AbortController().signal);
  }
  throw new Error(`no such event among ${JSON.stringify(events.slice(0, 10))}`);
}

async function put(page: Page, path: string, body: unknown): Promise<void> {
  const status = await page.evaluate(async ({ path, body }) => {
    const response = await fetch(path, {
      method: "PUT",
      headers: { "content-type": "application/json", "x-gatehouse-request": "1" },
      body: JSON.stringify(body),
    });
    return response.status;
  }, { path, body });
  assert.equal(status, 200);
}

async function upload(page: Page, csv: string): Promise<void> {
  await page.locator('input[type="file"]').setInputFiles({
    name: "people.csv",
    mimeType: "text/csv",
    buffer: Buffer.from(csv),
  });
}
