"""A program as a user writes it, with the types it relies on."""

import numpy as np

import wengert as wg

g = wg.Graph()
x, w = g.input("x"), g.parameter("w", 0.5)
y: wg.Expr = wg.tanh(w * x + 1) - x**2 / 3
z: wg.Expr = wg.maximum(y, 0.0) + wg.hypot(x, w)
number: float = wg.tanh(0.5)
dw: wg.Expr = wg.grad(y, w)
both: list[wg.Expr] = wg.grad(y, [w, x])
rows: list[list[wg.Expr]] = wg.jacobian([y, z], [w, x])
f = wg.compile({"x": x, "w": w}, {"y": y, "dw": dw}, target="numpy", batch="x")
source: str = f.source
result = f(np.ones(3), 0.5)
a = wg.Value(2.0)
b: wg.Value = (a * 3 + 1).tanh()
b.backward()
slope: float = a.grad
net = wg.MLP(2, [4, 1], activation="tanh", seed=0)
history = wg.fit(
    net, [[0.0, 1.0], [1.0, 0.0]], [1.0, 0.0], loss="squared_error", optimizer="sgd", epochs=2
)
losses: list[float] = list(history.loss)
held: bool = bool(wg.verify(y, [w]))
text: str = wg.latex(y)
