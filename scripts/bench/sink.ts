/**
 * sink: what every target forwards to. An nginx answers 204 to a write once it has the whole body, so the
 * data path ends in the same place for all; the few administrative calls of an outlet that leases tokens
 * go on to the admin stub. Its CPU time is not counted.
 */
import { existsSync } from "node:fs";
import { AdminStub } from "./admin-stub.ts";
import { freePort, type Stage } from "./stage.ts";

const ECHO_MODULE = "/usr/lib/nginx/modules/ngx_http_echo_module.so";

/** Room for the whole body in memory: with nginx's 16 kB it would write each one to disk first. */
export const NGINX_HTTP = `
  access_log off;
  client_body_buffer_size 64k;
  client_max_body_size 4m;
  keepalive_timeout 300s;
  keepalive_requests 100000000;
`;

/** One worker: a proxy is then two single-threaded processes that work, as culvert is. */
export function nginxMain(folder: string): string {
  return `
${process.getuid?.() === 0 ? "user root;" : ""}
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log stderr error;
events { worker_connections 1024; }
`;
}

export function nginxTemporary(folder: string): string {
  const kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  return kinds.map((kind) => `  ${kind}_temp_path ${folder}/${kind};\n`).join("");
}

export class Sink {
  readonly port: number;
  readonly #admin: AdminStub;

  private constructor(port: number, admin: AdminStub) {
    this.port = port;
    this.#admin = admin;
  }

  /** Why there can be no sink here, if so. */
  static missing(): string | undefined {
    if (Bun.which("nginx") === null) return "nginx is not installed";
    return existsSync(ECHO_MODULE)
      ? undefined
      : "nginx's echo module (libnginx-mod-http-echo) is not installed";
  }

  static async open(stage: Stage): Promise<Sink> {
    const admin = new AdminStub();
    const port = await freePort();
    const folder = stage.subfolder("sink");
    // `return 204` would answer before the body is in; echo_read_request_body waits for the last byte.
    const config = stage.write(
      "sink.conf",
      `load_module ${ECHO_MODULE};
${nginxMain(folder)}
http {
${NGINX_HTTP}
${nginxTemporary(folder)}
  server {
    listen 127.0.0.1:${port};
    location = /api/v2/write {
      echo_read_request_body;
      echo_status 204;
      echo -n "";
    }
    location / {
      proxy_pass http://127.0.0.1:${admin.port};
    }
  }
}
`,
    );
    const started = stage.start({ name: "sink", command: ["nginx", "-p", folder, "-c", config] });
    await stage.listening(started, port);
    return new Sink(port, admin);
  }

  close(): void {
    this.#admin.close();
  }
}
