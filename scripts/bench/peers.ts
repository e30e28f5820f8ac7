/**
 * peers: the pairs that culvert is compared with. Each is an edge process that takes plain HTTP (stunnel:
 * bytes) and a core process beside the sink, with mutual TLS 1.3, AES-256-GCM and P-256 certificates
 * between them, connections kept and reused, logs off, and one thread that works per process. They add no
 * token and decide nothing about a request: they do less than culvert, which is the fair side to err on.
 * Buffers hold a whole body: nginx would spill to disk otherwise, and haproxy was a tenth slower with 16 kB.
 */
import { type Certificates, CORE_NAME } from "./certificates.ts";
import { NGINX_HTTP, nginxMain, nginxTemporary } from "./sink.ts";
import { freePort } from "./stage.ts";
import { part, type Surroundings, type Target } from "./target.ts";

const SUITE = "TLS_AES_256_GCM_SHA384";

export interface PeerSurroundings extends Surroundings {
  readonly certificates: Certificates;
}

export async function nginxPair({ stage, sinkPort, certificates }: PeerSurroundings): Promise<Target> {
  const [edgePort, corePort] = [await freePort(), await freePort()];
  const { authority, edge, core } = certificates;
  const upstream = (port: number) => `
  upstream next {
    server 127.0.0.1:${port};
    keepalive 64;
    keepalive_requests 100000000;
    keepalive_timeout 300s;
  }`;
  const pass = `
      proxy_http_version 1.1;
      proxy_set_header Connection "";`;
  const start = (role: string, http: string) => {
    const folder = stage.subfolder(`nginx-${role}`);
    const config = stage.write(
      `nginx-${role}.conf`,
      `${nginxMain(folder)}http {${NGINX_HTTP}${nginxTemporary(folder)}${http}\n}\n`,
    );
    return stage.start({ name: `nginx-${role}`, command: ["nginx", "-p", folder, "-c", config] });
  };

  const coreStarted = start(
    "core",
    `${upstream(sinkPort)}
  server {
    listen 127.0.0.1:${corePort} ssl;
    ssl_certificate ${core.certificate};
    ssl_certificate_key ${core.key};
    ssl_client_certificate ${authority};
    ssl_verify_client on;
    ssl_protocols TLSv1.3;
    ssl_conf_command Ciphersuites ${SUITE};
    location / {
      proxy_pass http://next;${pass}
    }
  }`,
  );
  const edgeStarted = start(
    "edge",
    `${upstream(corePort)}
  server {
    listen 127.0.0.1:${edgePort};
    location / {
      proxy_pass https://next;${pass}
      proxy_ssl_certificate ${edge.certificate};
      proxy_ssl_certificate_key ${edge.key};
      proxy_ssl_trusted_certificate ${authority};
      proxy_ssl_verify on;
      proxy_ssl_name ${CORE_NAME};
      proxy_ssl_server_name on;
      proxy_ssl_protocols TLSv1.3;
      proxy_ssl_conf_command Ciphersuites ${SUITE};
    }
  }`,
  );
  await stage.listening(coreStarted, corePort);
  await stage.listening(edgeStarted, edgePort);
  return { name: "nginx", port: edgePort, processes: [part("edge", edgeStarted), part("core", coreStarted)] };
}

export async function haproxyPair({ stage, sinkPort, certificates }: PeerSurroundings): Promise<Target> {
  const [edgePort, corePort] = [await freePort(), await freePort()];
  const { authority, edge, core } = certificates;
  const start = (role: string, listen: string) => {
    const config = stage.write(
      `haproxy-${role}.cfg`,
      `global
  nbthread 1
  tune.bufsize 32768
  maxconn 1024
defaults
  mode http
  timeout connect 5s
  timeout client 300s
  timeout server 300s
  timeout http-keep-alive 300s
  http-reuse always
listen ${role}
${listen}
`,
    );
    return stage.start({ name: `haproxy-${role}`, command: ["haproxy", "-db", "-q", "-f", config] });
  };
  const tls13 = `ssl-min-ver TLSv1.3 ciphersuites ${SUITE} ca-file ${authority} verify required`;
  const coreStarted = start(
    "core",
    `  bind 127.0.0.1:${corePort} ssl crt ${core.bundle} ${tls13}
  server sink 127.0.0.1:${sinkPort}`,
  );
  const edgeStarted = start(
    "edge",
    `  bind 127.0.0.1:${edgePort}
  server core 127.0.0.1:${corePort} ssl crt ${edge.bundle} ${tls13} sni str(${CORE_NAME}) verifyhost ${CORE_NAME}`,
  );
  await stage.listening(coreStarted, corePort);
  await stage.listening(edgeStarted, edgePort);
  return {
    name: "haproxy",
    port: edgePort,
    processes: [part("edge", edgeStarted), part("core", coreStarted)],
  };
}

/** One thread per connection: the one peer here whose processes may use both cores. */
export async function stunnelPair({ stage, sinkPort, certificates }: PeerSurroundings): Promise<Target> {
  const [edgePort, corePort] = [await freePort(), await freePort()];
  const { authority, edge, core } = certificates;
  const start = (role: string, service: readonly string[]) => {
    const common = [
      `CAfile = ${authority}`,
      "verifyChain = yes",
      "sslVersion = TLSv1.3",
      `ciphersuites = ${SUITE}`,
    ];
    const lines = ["foreground = quiet", "pid =", "debug = err", `[${role}]`, ...common, ...service, ""];
    const config = stage.write(`stunnel-${role}.conf`, lines.join("\n"));
    return stage.start({ name: `stunnel-${role}`, command: ["stunnel4", config] });
  };
  const coreStarted = start("core", [
    `accept = 127.0.0.1:${corePort}`,
    `connect = 127.0.0.1:${sinkPort}`,
    `cert = ${core.certificate}`,
    `key = ${core.key}`,
  ]);
  const edgeStarted = start("edge", [
    "client = yes",
    `accept = 127.0.0.1:${edgePort}`,
    `connect = 127.0.0.1:${corePort}`,
    `cert = ${edge.certificate}`,
    `key = ${edge.key}`,
    `checkHost = ${CORE_NAME}`,
    `sni = ${CORE_NAME}`,
  ]);
  await stage.listening(coreStarted, corePort);
  await stage.listening(edgeStarted, edgePort);
  return {
    name: "stunnel",
    port: edgePort,
    processes: [part("edge", edgeStarted), part("core", coreStarted)],
  };
}
