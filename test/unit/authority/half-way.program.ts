/**
 * Killed in the middle of a change of a database that is no WAL one, as a restored backup: with pages of the
 * change in the file already, and what was there before in a -journal file.
 */
import { DatabaseSync } from "node:sqlite";

const database = new DatabaseSync(process.argv[2] ?? "");
database.exec("PRAGMA cache_size = 1; BEGIN; UPDATE member SET state = 'revoked'");
for (let i = 0; i < 200; i++) database.exec(`INSERT INTO ticket VALUES ('${i}', '{}', '', 0, 0, 1, NULL, 0)`);
process.kill(process.pid, "SIGKILL");
