"""The notebook "Neural Networks - Training", cell by cell, on wengert.

    python examples/nn_training.py [folder for the drawings, "out" by default]

The cells are the notebook's own, in its order. Left out is what the package provides: its three
versions of `Value`, `draw_dot`, `Neuron`, `Layer` and `MLP`. What a cell shows is printed; drawings
are saved. Numbers agree with the notebook's to about 14 digits: its tanh was written with exp.
"""

# ruff: noqa: B007, B905, E702
# fmt: off

# %%
import sys
from pathlib import Path
from pprint import pprint

from wengert import MLP, Layer, Value, draw_dot

out = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
out.mkdir(parents=True, exist_ok=True)


def show(drawing, name):
    drawing.render(outfile=out / f"{name}.svg", cleanup=True)
    print(f"[{out / name}.svg]")


# %% One neuron
# Simple example
# inputs are x1 and x2
x1 = Value(2.0, label = 'x1')
x2 = Value(0.0, label = 'x2')
# weights are w1 and w2
w1 = Value(-3.0, label = 'w1')
w2 = Value(1.0, label = 'w2')
# bias of the neuron
b = Value(6.8813735870195432, label = 'b')  # we randomly chose this (or Andrej did!)
x1w1 = x1*w1; x1w1.label = 'x1*w1'
x2w2 = x2*w2; x2w2.label = 'x2*w2'
# value of neuron
x1w1x2w2 = x1w1 + x2w2; x1w1x2w2.label = 'x1*w1 + x2*w2'
n = x1w1x2w2 + b; n.label = 'n'
# output of neuron (taking it through an activation function)
o = n.tanh(); o.label='output'
o.grad = 1.0 # initialize the outputs gradient as 1.0 to start with
print(o)

# %%
show(draw_dot(o), "neuron_forward")

# %% Back through it one step at a time
o._backward()
n._backward()
x1w1x2w2._backward()
b._backward() # does nothing by default
x1w1._backward()
x2w2._backward()

show(draw_dot(o), "neuron_step_by_step")  # all the gradients are filled in now

# %% The same neuron again, all steps at once
# Simple example
# inputs are x1 and x2
x1 = Value(2.0, label = 'x1')
x2 = Value(0.0, label = 'x2')
# weights are w1 and w2
w1 = Value(-3.0, label = 'w1')
w2 = Value(1.0, label = 'w2')
# bias of the neuron
b = Value(6.8813735870195432, label = 'b')  # we randomly chose this (or Andrej did!)
x1w1 = x1*w1; x1w1.label = 'x1*w1'
x2w2 = x2*w2; x2w2.label = 'x2*w2'
# value of neuron
x1w1x2w2 = x1w1 + x2w2; x1w1x2w2.label = 'x1*w1 + x2*w2'
n = x1w1x2w2 + b; n.label = 'n'
# output of neuron (taking it through an activation function)
o = n.tanh(); o.label='output'
o.grad = 1.0 # initialize the outputs gradient as 1.0 to start with
print(o)

# %%
show(draw_dot(o), "neuron_again")

# %%
o.backward()

show(draw_dot(o), "neuron_backward")

# %% A layer; its neurons say what they are (the notebook's claimed to be ReLU, and were tanh)
x = [2.0, 3.0] # we have two inputs
n = Layer(2, 3) # we create a layer containing 3 neurons, each with two inputs
print(n)

# %% A network
x = [2.0, 3.0 -1] # we have two inputs: the notebook forgot a comma, so they are 2 and 2
n = MLP(2, [4, 4, 1])
print(n)

# The notebook drew its weights without a seed, so nobody can draw them again. These are the ones it
# printed, in the order of n.parameters().
printed = [
    -0.673960864010662, -0.38743452539884804, 0,
    0.32561593380178455, -0.5580979978816389, 0,
    0.6317607372645528, -0.7439983704036817, 0,
    0.37750263423270947, -0.1828057057974144, 0,
    -0.6323050313613767, 0.19580356478801164, 0.6513508779160226, 0.5997935672965788, 0,
    -0.6161792945551037, 0.6021054544755415, 0.8008739493751205, -0.06752934140993072, 0,
    -0.817863919315788, -0.4657988501524455, -0.04784673373944104, -0.1492091424962394, 0,
    -0.21578580784850554, 0.5994948447117934, 0.03839212480101062, -0.224872204653213, 0,
    -0.34134057784065863, -0.23645896382875153, -0.4479422121034198, -0.26171802369669317, 0,
]
for p, number in zip(n.parameters(), printed, strict=True):
    p.data = number

# %%
print(n(x)) # forward pass

# %%
show(draw_dot(n(x)), "network")

# %% A dataset
xs = [
    [2.0, 3.0, -1.0],
    [3.0, -1.0, 0.5],
    [0.5, 1.0, 1.0],
    [1.0, 1.0, -1.0],
]
ys = [1.0, -1.0, -1.0, 1.0] # desired targets

# The network has two inputs, the rows have three numbers. In the notebook `zip(self.w, x)` dropped
# the third without a word; here `n(xs[0])` is an error that says so. For the notebook's numbers:
xs = [row[:2] for row in xs]

# %% Predictions, and how far off they are
ypred = [n(x) for x in xs]
pprint(ypred)

# %%
pprint([(ypred - ygt)**2 for ygt, ypred in zip(ys, ypred)])

# %%
loss = sum([(ypred - ygt)**2 for ygt, ypred in zip(ys, ypred)])
loss.grad = 1.0
print(loss)

# %% A first backward pass
loss.backward()
print("weight for first neuron of first layer =", n.layers[0].neurons[0].w[0])

# %%
pprint(n.parameters())

# %% One step against the gradient
step_size = 0.01
for p in n.parameters():
    p.data += -step_size * p.grad

# %%
print("weight for first neuron of first layer =", n.layers[0].neurons[0].w[0])

# %%
# forward pass
ypred = [n(x) for x in xs]

# calculate loss
loss = sum([(ypred - ygt)**2 for ygt, ypred in zip(ys, ypred)])
print(loss)

# %%
# backpropagate
for p in n.parameters():
    p.grad = 0.0 ## have to reset grad before doing next back propagation
loss.backward()

# optimize/adjust values
for p in n.parameters():
    p.data += -step_size * p.grad

# %% Next epoch/iteration
# forward pass
ypred = [n(x) for x in xs]

# calculate loss
loss = sum([(ypred - ygt)**2 for ygt, ypred in zip(ys, ypred)])
print(loss)

# %%
# backpropagate
for p in n.parameters():
    p.grad = 0.0 ## have to reset grad before doing next back propagation
loss.backward()

# optimize/adjust values
for p in n.parameters():
    p.data += -step_size * p.grad

# %%
# forward pass
ypred = [n(x) for x in xs]

# calculate loss
loss = sum([(ypred - ygt)**2 for ygt, ypred in zip(ys, ypred)])
print(loss)

# %%
pprint(ypred)

# %% The training loop
for epoch in range(500):
    # forward pass
    ypred = [n(x) for x in xs]
    loss = sum([(ypred - ygt)**2 for ygt, ypred in zip(ys, ypred)])

    # backpropagate
    for p in n.parameters():
        p.grad = 0.0 ## have to reset grad before doing next back propagation
    loss.backward()

    # update
    for p in n.parameters():
        p.data += -step_size * p.grad

# %%
print(loss)

# %%
pprint(ypred)
