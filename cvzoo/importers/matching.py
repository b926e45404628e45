"""Which torch layer is which Keras layer."""

from cvzoo.importers import table


def group(state):
    """Prefix of each torch layer → name → tensor, in the order of the state."""
    groups = {}
    for key, array in state.items():
        base = key.removesuffix(".real").removesuffix(".imag")
        prefix, _, _ = base.rpartition(".")
        name = key[len(prefix) + 1 :] if prefix else key
        groups.setdefault(prefix, {})[name] = array
    return groups


def match(groups, layers, names, is_ordered):
    """Prefix of a torch layer → path of the Keras layer; unmatched ones are left out.

    Args:
        groups: As `group` gives them.
        layers: Path → Keras layer, of those that take weights.
        names: Prefix → path as the user gave it, or `None`.
        is_ordered: Whether the groups come in the order of the network.
    """
    by_name = {
        prefix: path
        for prefix in groups
        for path in (prefix, prefix.replace(".", "/"))
        if path in layers
    }
    if names is not None:
        return {**_others(by_name, names), **_checked(names, groups, layers)}
    if len(by_name) == len(groups):
        return by_name
    return _by_order(groups, layers, is_ordered)


def _others(by_name, names):
    taken = set(names.values())
    return {
        prefix: path
        for prefix, path in by_name.items()
        if prefix not in names and path not in taken
    }


def _checked(names, groups, layers):
    for what, given, known in (
        ("prefixes of tensors", list(names), groups),
        ("layers that take weights", list(names.values()), layers),
    ):
        unknown = [one for one in given if one not in known]
        if unknown:
            raise ValueError(
                f"`names` has no such {what}: {unknown}. There are: {list(known)}"
            )
    if len(set(names.values())) < len(names):
        raise ValueError(f"`names` gives a layer twice: {names}")
    return dict(names)


def _by_order(groups, layers, is_ordered):
    """The first of a kind is the first of that kind, if there are equally many."""
    prefixes = list(groups)
    if not is_ordered and all(_numbers(prefix) for prefix in prefixes):
        prefixes, is_ordered = sorted(prefixes, key=_numbers), True
    kinds = {table.kind_of_tensors(groups[prefix]): None for prefix in prefixes}
    matched = {}
    for kind in kinds:
        left = [p for p in prefixes if table.kind_of_tensors(groups[p]) == kind]
        right = [n for n, layer in layers.items() if table.kind_of_layer(layer) == kind]
        if len(left) != len(right):
            continue
        if len(left) > 1 and not is_ordered:
            raise ValueError(
                "A .safetensors file does not keep the order of layers. Give `names`, "
                f"from the prefixes {left} to the layers {right}."
            )
        matched |= zip(left, right, strict=True)
    return {prefix: matched[prefix] for prefix in prefixes if prefix in matched}


def _numbers(prefix):
    """The numbers of a prefix such as `0.3` of nested Sequential networks, or `()`."""
    parts = prefix.split(".")
    return tuple(map(int, parts)) if all(part.isdecimal() for part in parts) else ()
