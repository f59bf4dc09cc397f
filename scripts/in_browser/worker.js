// Python in a worker: Pyodide, the packages that the server lists, and Viz.js for the pictures.

import { loadPyodide } from "./pyodide/pyodide.mjs";
import { instance } from "./viz/viz.js";

const tell = (kind, more) => self.postMessage({ kind, ...more });
const fetched = async (name) => {
    const answer = await fetch(name);
    if (!answer.ok) throw new Error(`${name}: ${answer.status}`);
    return answer;
};

async function begin() {
    const python = await loadPyodide({ indexURL: new URL("pyodide/", self.location).href });
    const served = await (await fetched("served.json")).json();
    for (const name of served.packages) {
        python.unpackArchive(await (await fetched(`packages/${name}`)).arrayBuffer(), "zip", {
            extractDir: python.runPython("import site; site.getsitepackages()[0]"),
        });
    }
    for (const stream of ["setStdout", "setStderr"]) {
        const text = new TextDecoder();
        python[stream]({
            write(bytes) {
                tell("printed", { text: text.decode(bytes, { stream: true }) });
                return bytes.length;
            },
        });
    }
    for (const name of ["small_numpy.py", "running.py"]) {
        python.FS.writeFile(name, await (await fetched(name)).text());
    }
    const viz = await instance();
    const running = python.pyimport("running");
    const run = running.begin(
        (kind, text) => tell(kind, { text }),
        (engine, format, source) => viz.renderString(source, { engine, format }),
    );
    tell("ready", { versions: running.versions(), without: served.without });
    return run;
}

const begun = begin();
begun.catch((error) => tell("broken", { text: String(error) }));
self.onmessage = async ({ data }) => tell("done", { failed: (await begun)(data) });
