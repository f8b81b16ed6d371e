"""Divides a backbone into blocks by the names of its layers: the units of fine-tuning and of splitting."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from models.errors import UserError
from models.keras_private import Operation, graph_inputs, producer

if TYPE_CHECKING:
    import keras

# The layer that joins the levels of a backbone to one vector, and those that average a map for it (`models.levels`).
JOINED = "levels"
_OF_LEVELS = re.compile(rf"{JOINED}|level_(last|\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How an architecture names its blocks.

    Attributes:
        pattern: matches the name of a layer; its groups joined by `_` are the block's name. A match without a group
            starts a block whose name comes with a later layer.
        marks: whether a matching layer lies in the block (the first of them starts it), or ends it.
        needs: a pattern that some layer must match; tells apart architectures that name their layers alike.
    """

    pattern: str
    marks: Literal["start", "end"] = "start"
    needs: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Consecutive layers of a backbone that are frozen or trained together.

    Attributes:
        name: as the architecture has it, such as `conv5_block3`; `stem` for what lies below the first.
        layers: the names of its layers and functions, from the input upwards.
        parameters: all of its weights.
    """

    name: str
    layers: tuple[str, ...]
    parameters: int


# The first rule that matches a model holds. Layers below the first block are the `stem`, unless they have no weights;
# layers above the last belong to it. A model that matches none is divided wherever a single tensor passes.
RULES: tuple[Rule, ...] = (
    Rule(pattern=r"(normal|reduction)_concat_(\w+)$", marks="end"),  # NASNet: its cells
    Rule(pattern=r"(block\d+_\d+)_ac$|(mixed_\d\w)$|(conv_7b)_ac$", marks="end", needs="conv_7b$"),  # Inception-ResNet
    Rule(pattern=r"(mixed\d+)$", marks="end"),  # Inception V3
    Rule(pattern=r"(inception_\d[a-z])_"),  # GoogLeNet
    Rule(pattern=r"(conv\d)_block\d+_", needs=r"conv\d_block\d+_concat$"),  # DenseNet: conv2 is dense block 1, ...
    Rule(pattern=r"(conv\d_block\d+)_"),  # ResNet
    Rule(pattern=r"\w+?_(stage_\d)_block|\w+?_downsampling_block", needs=r"convnext"),
    Rule(pattern=r"(expanded_conv(?:_\d+)?|block_\d+)_"),  # MobileNet V2 and V3
    Rule(pattern=r"(conv)_(?:dw|pad|pw)_(\d+)"),  # MobileNet
    # VGG, also with its fully connected layers, Xception, EfficientNet, the networks in `models.classics`.
    Rule(pattern=r"(block\d+)[a-z]?_|(fc\d)$"),
)


def list_blocks(model: keras.Model) -> tuple[Block, ...]:
    """Divide a backbone into its blocks.

    Args:
        model: flat and functional, as `build_backbone` and `load_backbone` return it.

    Returns:
        The blocks from the input upwards; every layer and function of the model is in exactly one, and what a block
        takes comes from the blocks below it.
    """
    named = divide_into_blocks(model)
    return tuple(
        Block(
            name=name,
            layers=tuple(operation.name for operation in members),
            parameters=sum(operation.count_params() for operation in members if hasattr(operation, "count_params")),
        )
        for name, members in named
    )


def find_lowest_trained(names: Sequence[str], spec: int | str) -> int:
    """Find the lowest block to be trained.

    Args:
        names: of the blocks, from the input upwards.
        spec: how many blocks from the top; or the name of the lowest one (`conv5_block1`), or what the names of several
            begin with (`conv5`); or `all`.

    Returns:
        An index into `names`; their number when nothing is to be trained.

    Raises:
        UserError: there is no such block, or there are not so many.
    """
    if spec == "all":
        return 0
    if isinstance(spec, int) or spec.isdecimal():
        count = int(spec)
        if 0 <= count <= len(names):
            return len(names) - count
        raise UserError(
            f"{count} blocks are to be trained, but there are {len(names)}",
            # 0 is left to callers: no command trains no block.
            f"give 1 to {len(names)}, `all`, or one of: {', '.join(names)}",
        )
    for place, name in enumerate(names):
        if name == spec or name.startswith(f"{spec}_"):
            return place
    raise UserError(f"there is no block `{spec}`", f"give a number, `all`, or one of: {', '.join(names)}")


def require_blocks(model: keras.Model, spec: int | str) -> None:
    """Refuse blocks that a backbone does not have, before anything is trained.

    Args:
        model: as for `list_blocks`.
        spec: as for `find_lowest_trained`.

    Raises:
        UserError: as `find_lowest_trained`.
    """
    find_lowest_trained([name for name, _ in divide_into_blocks(model)], spec)


def divide_into_blocks(model: keras.Model) -> list[tuple[str, list[Operation]]]:
    """The blocks as names and operations, from the input upwards; see `list_blocks`.

    Where levels are added to a backbone, each is averaged in the block that its map comes from.
    """
    everything = list_producers(model)
    added = _list_level_layers(model, everything)
    below = {operation: sources for operation, sources in everything.items() if operation not in added}
    divided = _divide(below)
    for operation in added:
        sources = set(everything[operation])
        next(members for _, members in reversed(divided) if sources & set(members)).append(operation)
    return divided


def _divide(below: dict[Operation, list[Operation]]) -> list[tuple[str, list[Operation]]]:
    rule = next((rule for rule in RULES if _holds(rule, below)), None)
    ends = _passages(below) if rule is None else _ends(rule, below) if rule.marks == "end" else _starts(rule, below)
    divided: list[tuple[str, list[Operation]]] = []
    taken: set[Operation] = set()
    for place, (name, tips) in enumerate(ends):
        last = place == len(ends) - 1
        wanted = set(below) if last else _with_ancestors(tips, below)
        members = [operation for operation in below if operation in wanted and operation not in taken]
        taken.update(members)
        divided.append((name, members))
    if len(divided) > 1 and not any(operation.weights for operation in _layers(divided[0][1])):
        divided[:2] = [(divided[1][0], divided[0][1] + divided[1][1])]
    return divided


def list_producers(model: keras.Model) -> dict[Operation, list[Operation]]:
    """Map every operation of a functional model, from the input upwards, to the operations that produce its inputs."""
    return {operation: [producer(tensor) for tensor in tensors] for operation, tensors in graph_inputs(model).items()}


def _list_level_layers(model: keras.Model, below: Mapping[Operation, object]) -> list[Operation]:
    if producer(model.outputs[0]).name != JOINED:
        return []
    return [operation for operation in below if _OF_LEVELS.fullmatch(operation.name)]


def _layers(operations: Sequence[Operation]) -> list[Operation]:
    return [operation for operation in operations if hasattr(operation, "weights")]


def _holds(rule: Rule, below: Mapping[Operation, object]) -> bool:
    names = [operation.name for operation in below]
    return any(re.match(rule.pattern, name) for name in names) and any(re.search(rule.needs, name) for name in names)


def _ends(rule: Rule, below: Mapping[Operation, list[Operation]]) -> list[tuple[str, list[Operation]]]:
    matches = [(re.match(rule.pattern, operation.name), operation) for operation in below]
    return [("_".join(filter(None, match.groups())), [operation]) for match, operation in matches if match]


def _starts(rule: Rule, below: Mapping[Operation, list[Operation]]) -> list[tuple[str, list[Operation]]]:
    """List every block with the operations that it ends in: the inputs of the first layer of the next block."""
    first: dict[str, Operation] = {}
    waiting: Operation | None = None
    for operation in below:
        match = re.match(rule.pattern, operation.name)
        if not match:
            continue
        name = "_".join(filter(None, match.groups()))
        if not name:
            waiting = waiting or operation
        elif name not in first:
            first[name] = waiting or operation
            waiting = None
    tips = [_past_functions(below[operation], below) for operation in first.values()]
    return list(zip(["stem", *first], [*tips, []], strict=True))


def _past_functions(tips: list[Operation], below: Mapping[Operation, list[Operation]]) -> list[Operation]:
    """Go down past functions of one input, such as a slice of the maps: others of the block may take another slice."""
    while len(tips) == 1 and not hasattr(tips[0], "weights") and len(below[tips[0]]) == 1:
        tips = below[tips[0]]
    return tips


def _passages(below: Mapping[Operation, list[Operation]]) -> list[tuple[str, list[Operation]]]:
    """Divide a network without a rule: a block ends where a single tensor passes to a layer with a kernel."""
    order = list(below)
    last_use = {source: place for place, operation in enumerate(order) for source in below[operation]}
    ends: list[tuple[str, list[Operation]]] = []
    name = ""
    for place, operation in enumerate(order):
        if not any(len(weight.shape) > 1 for weight in getattr(operation, "weights", ())):
            continue
        passing = [source for source in order[:place] if last_use.get(source, -1) >= place]
        if name and len(passing) == 1:
            ends.append((name, passing))
            name = ""
        name = name or operation.name
    return [*ends, (name or "all", [])]


def _with_ancestors(tips: Sequence[Operation], below: Mapping[Operation, list[Operation]]) -> set[Operation]:
    ancestors: set[Operation] = set()
    waiting = list(tips)
    while waiting:
        operation = waiting.pop()
        if operation not in ancestors:
            ancestors.add(operation)
            waiting.extend(below[operation])
    return ancestors
