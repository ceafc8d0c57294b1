"""A graph while it grows: every value is computed by ONNX Runtime as soon as its node is added.

Knowing the numbers spares shape rules and rules on domains here: a node that ONNX Runtime refuses, or whose result leaves
what can be compared, is taken back. Each value is computed twice, the second time from values that rounding may have
moved by NOISE; a node whose results lie apart by more than APART of the largest is taken back too, as two right
runtimes may disagree on it.
"""

import math
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

NOISE = 2e-6
APART = 4e-5
MAX_ELEMENTS = 4096
MAX_RANK = 6
MAX_MAGNITUDE = 1e4
MAX_INTEGER = 2**20
# Exact values are multiples of 1/GRID below MAX_EXACT, which f32 holds with digits to spare.
GRID = 64
MAX_EXACT = 2.0**12


class Refused(Exception):
    """This node cannot be added here."""


@dataclass(eq=False)
class Value:
    name: str
    array: np.ndarray
    noisy: np.ndarray
    exact: bool
    constant: bool = False
    used: bool = False

    @property
    def shape(self):
        return list(self.array.shape)

    @property
    def rank(self):
        return self.array.ndim

    @property
    def is_plain(self):
        """Not an integer that stands for the end of any axis."""
        return self.array.dtype.kind != "i" or np.abs(self.array.astype(np.float64)).max(initial=0) <= MAX_INTEGER

    @property
    def kind(self):
        return {"f": "float", "i": "int", "b": "bool"}[self.array.dtype.kind]


def session_options():
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return options


OPTIONS = session_options()


def session(model):
    return onnxruntime.InferenceSession(model.SerializeToString(), OPTIONS, providers=["CPUExecutionProvider"])


def declared(name, array):
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)


def undeclared(name):
    return onnx.ValueInfoProto(name=name)


def ir_version(opset):
    """The lowest that goes with an operator set; initialisers need not be inputs from 4 on."""
    table = [(9, 4), (10, 5), (11, 6), (14, 7), (19, 8), (20, 9), (23, 10)]
    return next((ir for last, ir in table if opset < last), 11)


def is_exact(array):
    if array.dtype.kind != "f":
        return True
    scaled = array.astype(np.float64) * GRID
    return bool((scaled == np.round(scaled)).all() and (np.abs(array) < MAX_EXACT).all())


class Draft:
    def __init__(self, random, opset):
        self.random = random
        self.numbers = np.random.default_rng(random.getrandbits(64))
        self.opset = opset
        self.values, self.nodes, self.initializers, self.inputs = [], [], [], []
        self.count = 0

    # Chance.

    def chance(self, probability):
        return self.random.random() < probability

    def choose(self, options):
        return self.random.choice(list(options))

    def between(self, low, high):
        return self.random.randint(low, high)

    def normal(self, shape, scale=1.0):
        return np.asarray(self.numbers.standard_normal(shape) * scale, np.float32)

    def eighths(self, shape, low=-3.0, high=3.0):
        """Multiples of 1/8."""
        steps = self.numbers.integers(round(low * 8), round(high * 8), shape, endpoint=True)
        return np.asarray(steps / 8, np.float32)

    # Taking back.

    def state(self):
        return [len(part) for part in (self.values, self.nodes, self.initializers, self.inputs)]

    def restore(self, state):
        for part, length in zip((self.values, self.nodes, self.initializers, self.inputs), state):
            del part[length:]

    # Values.

    def fresh(self, hint):
        self.count += 1
        return f"{hint.lower()}_{self.count}"

    def keep(self, value):
        self.values.append(value)
        return value

    def input(self, array):
        name = self.fresh("x")
        self.inputs.append(name)
        return self.keep(Value(name, array, array, is_exact(array)))

    def initializer(self, array):
        value = Value(self.fresh("w"), array, array, is_exact(array), constant=True)
        self.initializers.append(numpy_helper.from_array(array, value.name))
        return self.keep(value)

    def constant_node(self, array):
        name = self.fresh("constant")
        attributes = {"value": numpy_helper.from_array(array)}
        if self.opset >= 12 and array.ndim <= 1 and self.chance(0.3):
            kind = {"f": "float", "i": "int"}.get(array.dtype.kind)
            if kind and array.dtype in (np.float32, np.int64):
                attributes = {f"value_{kind}s": array.tolist()} if array.ndim else {f"value_{kind}": array.item()}
        self.nodes.append(helper.make_node("Constant", [], [name], name=name, **attributes))
        return self.keep(Value(name, array, array, is_exact(array), constant=True))

    def constant(self, array, tails=True):
        """What an operator needs as a constant: an initialiser, a Constant node, or computed of shapes."""
        array = np.asarray(array)
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        if tails and array.dtype == np.int64 and array.ndim == 1 and self.chance(0.2):
            return self.tail(array)
        return self.constant_node(array) if self.chance(0.25) else self.initializer(array)

    def integers(self, numbers, tails=True):
        return self.constant(np.array(numbers, np.int64), tails)

    def tail(self, array):
        """A list of integers computed of a value's shape, where one of them is an extent of it, and of constants."""
        rest = [value for value in self.values if not value.constant and value.rank]
        if not rest:
            return self.initializer(array)
        of = self.choose(rest)
        shape = self.node("Shape", [of])
        if array.tolist() == of.shape and self.chance(0.7):
            return shape
        pieces = [self.piece(shape, of.shape, int(number)) for number in array]
        return self.node("Concat", pieces, {"axis": 0}) if len(pieces) > 1 or self.chance(0.5) else pieces[0]

    def piece(self, shape, extents, number):
        """A list of one number."""
        places = [at for at, extent in enumerate(extents) if extent and number % extent == 0 and number]
        if not places or self.chance(0.3):
            return self.initializer(np.array([number], np.int64))
        place = self.choose(places)
        extent = self.extent(shape, place, len(extents))
        if number == extents[place]:
            return extent
        if self.opset < 7:
            raise Refused("no arithmetic of integers")
        return self.times(extent, number // extents[place])

    def times(self, extent, factor):
        """A list of one number times another, as integers or by way of real numbers."""
        if self.chance(0.6):
            return self.node("Mul", [extent, self.initializer(np.array([factor], np.int64))])
        real = self.node("Cast", [extent], {"to": TensorProto.FLOAT}, exact=True)
        # Not an initialiser: a real one might be trained, and is not computed with while a file is read.
        product = self.node("Mul", [real, self.constant_node(np.array([factor], np.float32))], exact=True)
        product = self.node("Floor", [product], exact=True) if self.chance(0.5) else product
        return self.node("Cast", [product], {"to": TensorProto.INT64})

    def extent(self, shape, place, rank):
        ways = ["gather", "scalar"] + ["slice"] * (self.opset >= 10)
        way = self.choose(ways)
        at = place - rank if self.opset >= 11 and self.chance(0.3) else place
        if way == "gather":
            return self.node("Gather", [shape, self.initializer(np.array([at], np.int64))], {"axis": 0})
        if way == "slice":
            bounds = [self.initializer(np.array([number], np.int64)) for number in (place, place + 1, 0)]
            return self.node("Slice", [shape, *bounds])
        scalar = self.node("Gather", [shape, self.initializer(np.array(at, np.int64))], {"axis": 0})
        if self.opset < 13:
            return self.node("Unsqueeze", [scalar], {"axes": [0]})
        return self.node("Unsqueeze", [scalar, self.initializer(np.array([0], np.int64))])

    # Choosing inputs.

    def shape(self, ranks=(1, 2, 3, 4)):
        rank = self.choose(ranks)
        if rank < 3 or self.chance(0.2):
            return [self.between(1, 5) for _ in range(rank)]
        return [self.between(1, 3), self.choose([1, 2, 3, 4, 6, 8])] + [self.between(3, 9) for _ in range(rank - 2)]

    def new(self, kind, shape, exact=False):
        if kind == "int":
            return self.input(np.asarray(self.numbers.integers(-4, 9, shape), np.int64))
        if kind == "bool":
            return self.input(np.asarray(self.numbers.integers(0, 2, shape), bool))
        return self.input(self.eighths(shape) if exact or self.chance(0.5) else self.normal(shape))

    def pick(self, kind="float", ranks=(1, 2, 3, 4), exact=False, where=lambda value: True):
        """A value of the graph, or a new input."""
        fits = [
            value
            for value in self.values
            if value.kind == kind and value.rank in ranks and (value.exact or not exact) and where(value)
            and value.is_plain and not (value.constant and self.chance(0.97))
        ]
        unused = [value for value in fits if not value.used]
        if fits and self.chance(0.85):
            return self.choose(unused if unused and self.chance(0.7) else fits)
        for _ in range(8):
            state = self.state()
            value = self.new(kind, self.shape(ranks), exact)
            if where(value):
                return value
            self.restore(state)
        raise Refused("no fitting input")

    def picture(self, **conditions):
        return self.pick(ranks=(3, 4), **conditions)

    def scalar(self, number):
        return self.constant(np.array(number, np.float32))

    def broadcast_shape(self, shape):
        """A shape that broadcasts to another."""
        kept = [extent if self.chance(0.6) else 1 for extent in shape]
        return kept[self.between(0, len(kept)):] if self.chance(0.5) else kept

    def partner(self, value, kind=None, exact=False, one_way=False):
        """A second operand that broadcasts with a value."""
        kind = kind or value.kind

        def fits(other):
            try:
                shape = np.broadcast_shapes(other.array.shape, value.array.shape)
            except ValueError:
                return False
            return math.prod(shape) <= MAX_ELEMENTS and (not one_way or shape == value.array.shape)

        fitting = [
            other
            for other in self.values
            if other.kind == kind and fits(other) and (other.exact or not exact) and not other.constant
        ]
        if fitting and self.chance(0.5):
            return self.choose(fitting)
        shape = self.broadcast_shape(value.shape) if self.opset >= 7 else value.shape
        if self.chance(0.4):
            return self.new(kind, shape, exact)
        if kind == "float":
            return self.constant(self.eighths(shape), tails=False)
        array = np.asarray(self.numbers.integers(0, 2, shape), bool) if kind == "bool" else self.numbers.integers(1, 6, shape)
        return self.constant(array, tails=False)

    def positive(self, value):
        """The value made positive, if it is not."""
        if value.array.min() >= 0.125:
            return value
        magnitude = self.node("Abs", [value], exact=True)
        return self.node("Add", [magnitude, self.scalar(self.choose([0.25, 0.5, 1.0]))], exact=True)

    def bounded(self, value, bound):
        """The value pressed into -1 to 1, if it goes beyond the bound."""
        return value if np.abs(value.array).max() <= bound else self.node("Tanh", [value])

    # Nodes.

    def node(self, op, inputs, attributes=None, outputs=1, exact=False):
        """Adds a node and gives its output, or a list of them. `outputs` may be a list of which ones are named.
        `exact`: the results of exact inputs are exact."""
        named = [True] * outputs if isinstance(outputs, int) else outputs
        names = [self.fresh(op) if is_named else "" for is_named in named]
        arguments = [value.name if value else "" for value in inputs]
        node = helper.make_node(op, arguments, names, name=self.fresh("node"), **(attributes or {}))
        present = list({value.name: value for value in inputs if value}.values())
        clean, noisy = self.compute(node, present)
        exact = exact and all(value.exact for value in present)
        constant = op in ("Shape", "Size") or bool(present) and all(value.constant for value in present)
        found = [
            self.settle(name, array, second, exact, constant)
            for name, array, second in zip([name for name in names if name], clean, noisy)
        ]
        for value in present:
            value.used = True
        self.nodes.append(node)
        self.values.extend(found)
        return found[0] if len(named) == 1 else found

    def compute(self, node, present):
        fed = [value for value in present if not value.constant]
        graph = helper.make_graph(
            [node],
            "one",
            [declared(value.name, value.array) for value in fed],
            [undeclared(name) for name in node.output if name],
            [numpy_helper.from_array(value.array, value.name) for value in present if value.constant],
        )
        opsets = [helper.make_opsetid("", self.opset)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=max(4, ir_version(self.opset)))
        try:
            one = session(model)
            clean = one.run(None, {value.name: value.array for value in fed})
            if all(value.noisy is value.array for value in fed):
                return clean, clean
            return clean, one.run(None, {value.name: value.noisy for value in fed})
        except Exception as error:  # whatever ONNX Runtime says against the node
            raise Refused(f"{node.op_type}: {error}") from error

    def settle(self, name, array, noisy, exact, constant):
        array, noisy = np.asarray(array), np.asarray(noisy)
        if not 1 <= array.size <= MAX_ELEMENTS or array.ndim > MAX_RANK or array.dtype.kind not in "fib":
            raise Refused("too large or empty")
        if array.dtype.kind != "f":
            if array.dtype.kind == "i" and np.abs(array).max() > MAX_INTEGER:
                raise Refused("integers too large")
            return Value(name, array, array, True, constant)
        largest = np.abs(array).max()
        if not (largest == 0 or 1e-6 < largest < MAX_MAGNITUDE):
            raise Refused("numbers too large or small")
        if exact and is_exact(array):
            return Value(name, array, array, True, constant)
        if constant:
            return Value(name, array, array, False, constant)
        noisy = np.asarray(noisy + (self.numbers.standard_normal(array.shape) * NOISE * largest).astype(np.float32))
        if not np.abs(noisy - array).max() <= APART * largest:
            raise Refused("ill-conditioned")
        return Value(name, array, noisy, False, constant)

    # The end.

    def model(self):
        consumed = {name for node in self.nodes for name in node.input}
        known = {value.name: value for value in self.values}
        made = [name for node in self.nodes for name in node.output if name and not known[name].constant]
        outputs = [name for name in made if name not in consumed or self.chance(0.1)]
        if not outputs:
            raise Refused("nothing is put out")
        inputs = [declared(name, known[name].array) for name in self.inputs if name in consumed]
        ir = ir_version(self.opset)
        if self.opset < 9 and self.chance(0.5):
            ir = 3
            inputs += [helper.make_tensor_value_info(w.name, w.data_type, w.dims) for w in self.initializers]
        graph = helper.make_graph(
            self.nodes, "fuzz", inputs, [declared(name, known[name].array) for name in outputs], self.initializers
        )
        opsets = [helper.make_opsetid("", self.opset)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=ir, producer_name="fuzz_ort")
        return model, {name: known[name].array for name in self.inputs if name in consumed}
