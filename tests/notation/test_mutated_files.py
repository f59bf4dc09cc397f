"""Files that say what they should not: each is read, or refused by an error of this package."""

import copy
import json
import math
import random

import pytest

import wengert as wg

JUNK = [
    *(None, True, 0, -1, 2, 10**400, 1e308, math.nan, math.inf, -0.0, 1.5, "", "x", "\x00"),
    *("tanh", "add", "input", "constant", "where", "w\u202e", "\ud800", "9" * 5000),
    *([], {}, [[]], [None], {"a": 1}, [1] * 500, [[0, 1], [2]], [-1, 2], 2**64, {"op": "add"}),
]


def graph_file(directory):
    g = wg.Graph()
    x, w = g.input("x"), g.parameter("w", 0.5)
    numbers = [g.constant(number) for number in (math.inf, math.nan, -0.0)]
    y = wg.tanh(x * w) + x**3 + wg.where(x > 0, wg.leaky_relu(x, 0.2), wg.clip(w, -1, 1))
    wg.grad(y * numbers[0] + numbers[1] * numbers[2], [x, w])
    return wg.to_json(g)


def network_file(directory):
    path = directory / "net.json"
    wg.MLP(2, [3, 1], "relu", seed=0).save(path)
    return path.read_text()


def certificate_file(directory):
    g = wg.Graph()
    w = g.input("w")
    return wg.verify(wg.tanh(w) * w, [w]).save(directory / "certificate.json").read_text()


def from_file(load):
    def loaded(text, directory):
        path = directory / "mutated.json"
        path.write_bytes(text.encode(errors="surrogatepass"))
        return load(path)

    return loaded


KINDS = {
    "graph": (graph_file, lambda text, directory: wg.to_json(wg.from_json(text))),
    "network": (network_file, from_file(wg.load)),
    "certificate": (certificate_file, from_file(wg.Verification.load)),
}


def paths(thing, path=()):
    """Where everything is in nested lists and dicts, itself aside."""
    inner = thing.items() if isinstance(thing, dict) else enumerate(thing)
    for key, value in inner:
        yield (*path, key)
        if isinstance(value, (dict, list)):
            yield from paths(value, (*path, key))


def at(thing, path):
    for key in path:
        thing = thing[key]
    return thing


def mutated(rng, data):
    """The data with something missing, doubled, moved, of another type or of another number."""
    data = copy.deepcopy(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        places = list(paths(data))
        if not places:
            break
        path = rng.choice(places)
        holder, key = at(data, path[:-1]), path[-1]
        how = rng.randrange(6)
        if how < 2:
            holder[key] = copy.deepcopy(rng.choice(JUNK))
        elif how == 2:
            del holder[key]
        elif how == 3 and isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        elif how == 3:
            holder[rng.choice(("zzz", "op", "shape", "__class__"))] = copy.deepcopy(holder[key])
        elif how == 4 and type(holder[key]) in (int, float):
            holder[key] += rng.choice((1, -1, 1000, -1000, 0.5))
        else:
            holder[key] = copy.deepcopy(at(data, rng.choice(places)))
    return data


@pytest.mark.parametrize("kind", KINDS)
def test_mutations_are_read_or_refused_by_name(kind, tmp_path):
    make, load = KINDS[kind]
    data, rng = json.loads(make(tmp_path)), random.Random(7)
    refused = []
    for _ in range(250):
        text = json.dumps(mutated(rng, data))
        if rng.random() < 0.1:
            cut = rng.randrange(len(text))
            text = text[:cut] + rng.choice(("", "{", "\x00", "NaN", "1e999")) + text[cut + 3 :]
        try:
            load(text, tmp_path)
        except wg.WengertError as error:
            refused.append(str(error))
    assert 100 < len(refused) < 250
    assert max(map(len, refused)) < 2000
