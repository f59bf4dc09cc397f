"""Second derivatives: the Hessian of a network, and a differential equation's residual.

    python examples/second_order.py [folder for the two functions, "out" by default]

Both are graphs like any other: printed, simplified and compiled to straight-line Python.
"""

import sys
from pathlib import Path

import wengert as wg

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
folder.mkdir(parents=True, exist_ok=True)

net = wg.MLP(2, [16, 16, 1], seed=0)
parameters = net.parameters()
weights = [p.data for p in parameters]

# u(x0, x1), its gradient and its Hessian, by x0 and x1.
g = wg.Graph()
x = g.inputs("x", 2)
u = net(x)
gradient, hessian = wg.grad(u, x), wg.hessian(u, x)
curvature = wg.compile(
    {"params": parameters, "x": x},
    {"u": u, "gradient": gradient, "hessian": hessian},
    name="curvature",
)
at = curvature(weights, [0.3, -0.2])
print(f"u = {at['u']:.6f} at x = (0.3, -0.2)")
for row in at["hessian"]:
    print("   ", *(f"{entry: .6f}" for entry in row))
asymmetry = abs(at["hessian"][0][1] - at["hessian"][1][0])
print(f"derived one by one, its mixed entries differ by {asymmetry:.0e}")
print(curvature.report())

# Laplace's equation u_xx + u_yy = 0: the squared residual at a point, differentiated by the 337
# weights, is third order: what a physics-informed network descends.
residual = (hessian[0][0] + hessian[1][1]) ** 2
step = wg.compile(
    {"params": parameters, "x": x},
    {"residual": residual, "grad": wg.grad(residual, parameters, allow_unused=True)},
    batch="x",
    reduce="mean",
    name="laplace",
)
points = [[0.25 * i - 1, 0.5 * j - 1] for i in range(9) for j in range(5)]
for epoch in range(20):
    result = step(weights, points)
    if epoch % 5 == 0:
        print(f"epoch {epoch:2}: mean squared residual {result['residual']:.6f}")
    weights = [w - 0.002 * d for w, d in zip(weights, result["grad"], strict=True)]
print(f"         mean squared residual {step(weights, points)['residual']:.6f}")

for function in (curvature, step):
    print("wrote", function.save(folder / f"{function.program.name}.py"))
