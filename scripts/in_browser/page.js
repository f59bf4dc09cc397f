// The page: a program, a worker that runs it, and what the program printed and showed.

const EXAMPLES = {
    Explain: `# Every step of the chain rule, as a page of its own.
loss = wg.parse("(tanh(w*x + b) - y)**2")
show(wg.explain(loss, wrt="w", at={"w": 0.5, "x": 1.0, "b": -0.2, "y": 1.0}))
`,
    Roll: `# A network written one scalar at a time, and what it is as arrays.
net = wg.MLP(2, [4, 1], seed=0)
g = wg.Graph()
x, y = g.inputs("x", 2), g.input("y")
loss = (net(x) - y) ** 2
rolled = wg.roll([loss, *wg.grad(loss, net.parameters())])
print(rolled)
print(wg.check_roll([loss, *wg.grad(loss, net.parameters())], rolled))
`,
    Train: `# Exclusive or, learned here.
X, Y = [[0, 0], [0, 1], [1, 0], [1, 1]], [-1, 1, 1, -1]
net = wg.MLP(2, [4, 1], seed=0)
for part in range(10):
    history = wg.fit(net, X, Y, optimizer=wg.SGD(0.05), epochs=50, progress=False)
    print(f"{50 * (part + 1)} epochs: loss {history.loss[-1]:.4f}")
print([round(net(x).data, 2) for x in X])
`,
    "By hand": `# The loop itself: forward, backward, a step.
w, b = wg.Value(0.1, label="w"), wg.Value(0.0, label="b")
for step in range(20):
    loss = sum(((w * x + b - (3 * x - 1)) ** 2 for x in (-1.0, 0.0, 1.0, 2.0)), 0.0)
    for p in (w, b):
        p.grad = 0.0
    loss.backward()
    for p in (w, b):
        p.data -= 0.05 * p.grad
print(w, b)
show(wg.draw_dot(loss))
`,
};

const at = (id) => document.getElementById(id);
let worker = null;

function start() {
    at("run").disabled = at("stop").disabled = true;
    at("state").textContent = "Starting Python";
    worker = new Worker("worker.js", { type: "module" });
    worker.onmessage = ({ data }) => HEARD[data.kind](data);
    worker.onerror = (event) => { at("state").textContent = `Failed: ${event.message}`; };
}

const HEARD = {
    ready({ versions, without }) {
        at("state").textContent = `Ready: ${versions}`;
        at("without").textContent = without;
        at("run").disabled = false;
    },
    broken({ text }) { at("state").textContent = `Failed: ${text}`; },
    printed({ text }) { at("printed").textContent += text; },
    html({ text }) {
        // Sandboxed without an origin: a walk-through has scripts, and none of this page's rights.
        const frame = document.createElement("iframe");
        frame.title = "walk-through";
        frame.sandbox = "allow-scripts";
        frame.srcdoc = text;
        at("shown").append(frame);
    },
    svg({ text }) {
        const image = document.createElement("img");
        image.alt = "the graph";
        image.src = `data:image/svg+xml,${encodeURIComponent(text)}`;
        at("shown").append(image);
    },
    done({ failed }) {
        at("state").textContent = failed ? "Ended with an error" : "Done";
        at("run").disabled = false;
        at("stop").disabled = true;
    },
};

at("run").onclick = () => {
    at("printed").textContent = "";
    at("shown").replaceChildren();
    at("run").disabled = true;
    at("stop").disabled = false;
    at("state").textContent = "Running";
    worker.postMessage(at("code").value);
};
at("stop").onclick = () => {
    worker.terminate();
    start();
};
for (const [name, code] of Object.entries(EXAMPLES)) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.onclick = () => { at("code").value = code; };
    at("examples").append(button, " ");
}
at("code").value = EXAMPLES.Explain;
start();
