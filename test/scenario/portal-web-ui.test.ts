import { join } from "node:path";
import { expect, it } from "vitest";
import { portalStatus, startPortal } from "../harness/portal.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { tempDir } from "../harness/temporary.ts";
import { Chromium, describeWebUi, Syncthing } from "../harness/web-ui.ts";

checkLeaks();

describeWebUi("a web interface through a portal", () => {
  it("shows itself with all that belongs to it, and what changes as it changes", {
    timeout: 90_000,
  }, async () => {
    const syncthing = await Syncthing.start();
    const portal = await startPortal({ address: `127.0.0.1:${syncthing.port}` });
    const chromium = await Chromium.start();
    const page = await chromium.browser.newPage();
    const loaded: { url: string; status: number }[] = [];
    const failed: string[] = [];
    page.on("response", (response) => {
      // Syncthing's own way to say that it was told to look for no newer one.
      if (response.url().endsWith("/rest/system/upgrade")) return;
      loaded.push({ url: response.url(), status: response.status() });
    });
    page.on("requestfailed", (request) => failed.push(`${request.url()}: ${request.failure()?.errorText}`));

    await page.goto(`http://127.0.0.1:${portal.port}/`);
    await page.getByText("This Device").first().waitFor();
    await page.getByText("Folders").first().waitFor();
    // Scripts, styles, fonts, translations, and the calls that fill the page.
    expect(loaded.length).toBeGreaterThan(30);
    expect(loaded.filter(({ status }) => status >= 400)).toEqual([]);
    expect(failed).toEqual([]);

    // Its events come by requests that wait for them (long polling).
    await syncthing.addFolder("Measurements");
    await page.getByText("Measurements").first().waitFor();
    await syncthing.addFolder("Recipes");
    await page.getByText("Recipes").first().waitFor();
    const polls = loaded.filter(({ url }) => url.includes("/rest/events"));
    expect(polls.length).toBeGreaterThan(0);
    expect(failed).toEqual([]);

    const picture = process.env.CULVERT_TEST_SCREENSHOT ?? join(await tempDir("screenshot"), "ui.png");
    await page.screenshot({ path: picture });
    const { connections, refused, fromServiceBytes } = await portalStatus(portal.outlet, "outlet");
    expect(connections).toBeGreaterThan(1);
    expect(fromServiceBytes).toBeGreaterThan(500_000);
    expect(refused).toEqual({});

    await page.close();
    await chromium.stop();
    await portal.stop();
    await syncthing.stop();
  });
});
