// COUNT mutual TLS handshakes between two cluster workers, which serve, and four worker threads, which are the clients.
//
//   node handshakes.js CERTS COUNT [ADDON]
//
// With ADDON, that addon is loaded before the clients end, in the main thread and in a worker thread: it frees blocks twice.
// Started by node.py.  The last line is "served N"; the exit status is 0 if N is COUNT.
"use strict";
const cluster = require("cluster"), crypto = require("crypto"), fs = require("fs"), tls = require("tls");
const { Worker, isMainThread, parentPort, workerData } = require("worker_threads");

const THREADS = 4, AT_ONCE = 5, WORKERS = 2;
const [certs, count, addon] = process.argv.slice(2);
const read = (name) => fs.readFileSync(`${certs}/${name}`);

// A connection is served if the answer is whole and the server's certificate is good.
function connect(port, version) {
    return new Promise((resolve) => {
        const options = { host: "127.0.0.1", port, key: read("client.key"), cert: read("client.pem"), ca: read("ca.pem"),
            minVersion: version, maxVersion: version, checkServerIdentity: () => undefined };
        let text = "";
        const socket = tls.connect(options, () => socket.write("hello"));
        socket.on("data", (data) => { text += data; });
        socket.on("error", (error) => { console.log(`client: ${error.message}`); resolve(0); });
        socket.on("close", () => resolve(Number(text === "hello back")));
    });
}

async function client() {
    let served = 0, left = workerData.count;
    const one = async () => {
        while (left-- > 0) {
            const good = await connect(workerData.port, left % 2 ? "TLSv1.3" : "TLSv1.2");
            served += good;
        }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, one));
    if (workerData.addon) require(workerData.addon);
    parentPort.postMessage(served);
}

function serve() {
    const options = { key: read("server.key"), cert: read("server.pem"), ca: read("ca.pem"), requestCert: true };
    const server = tls.createServer(options, (socket) => {
        socket.on("error", () => undefined);
        // OpenSSL in libuv's threads, too.
        socket.once("data", () => crypto.pbkdf2("secret", "salt", 10, 32, "sha256", () => socket.end("hello back")));
    });
    server.listen(0, "127.0.0.1"); // the cluster gives all workers the same port
}

async function main() {
    const ports = [];
    for (let i = 0; i < WORKERS; i++) {
        ports.push(new Promise((resolve) => cluster.fork().on("listening", (address) => resolve(address.port))));
    }
    const [port] = await Promise.all(ports);
    const results = Array.from({ length: THREADS }, (_, i) => new Promise((resolve, reject) => {
        const share = Math.floor((Number(count) + i) / THREADS);
        const data = { port, count: share, addon: i === 0 ? addon : undefined };
        const worker = new Worker(__filename, { argv: process.argv.slice(2), workerData: data });
        worker.on("message", resolve).on("error", reject);
    }));
    if (addon) require(addon);
    const served = (await Promise.all(results)).reduce((sum, n) => sum + n, 0);
    const ended = Object.values(cluster.workers).map((worker) => new Promise((resolve) => {
        worker.on("exit", (status, signal) => resolve(signal || status));
        worker.disconnect();
    }));
    for (const how of await Promise.all(ended)) if (how !== 0) console.log(`a cluster worker ended with ${how}`);
    console.log(`served ${served}`);
    process.exitCode = served === Number(count) ? 0 : 1;
}

if (!isMainThread) client();
else if (cluster.isPrimary) main();
else serve();
