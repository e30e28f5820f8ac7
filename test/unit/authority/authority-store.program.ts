/** Another process on the database: it opens it, or it is killed while it uses it. */
import { openAuthorityStore } from "../../../src/authority/authority-store.ts";

const [what, path = ""] = process.argv.slice(2);

try {
  const store = await openAuthorityStore(path);
  if (what === "abandon") {
    store.addTicket({
      ...{ ticketId: "abandoned", attributes: {}, service: "influxdb", createdAtMs: 1, expiresAtMs: 9e12 },
      ...{ uses: 1, refused: 0, usedBy: [] },
    });
    process.kill(process.pid, "SIGKILL");
  }
  store.close();
  console.log("opened");
} catch (thrown) {
  const { code, message } = thrown as { code?: string; message: string };
  console.log(code, message);
}
