"""Dependencies point one way, and nothing is named twice."""

import ast
from pathlib import Path

import cvzoo

ROOT = Path(__file__).parent.parent

# Module of cvzoo → the modules of cvzoo that it may import.
ALLOWED = {
    "strict_json": set(),
    "manifest_checks": set(),
    "manifests": {"manifest_checks"},
    "file_bytes": set(),
    "preset_files": {"file_bytes", "manifest_checks", "manifests", "strict_json"},
    "downloads": {"downloads", "preset_files"},
    "cards": set(),
    "recipes": set(),
    "catalogue": {"cards", "downloads", "preset_files", "recipes"},
    "decoding": {"catalogue", "preset_files"},
    "folders": set(),
    "coding": set(),
    "first_format": {"coding"},
    "containers": {"strict_json"},
    "packing": {"coding", "containers", "first_format", "strict_json"},
    "ops": {"ops"},
    "layers": {"ops", "layers"},
    "graph": set(),
    "models": {"catalogue", "graph", "layers", "models"},
    "sparsity": {"graph", "layers", "ops"},
    "sparsifying": {"graph", "layers", "sparsity"},
    "fitting": {"layers"},
    "factorization": {"fitting", "graph", "layers", "sparsity"},
    "losses": set(),
    "metrics": {"metrics"},
    "callbacks": {"metrics", "sparsity"},
    "compressing": {
        *("training_data", "graph", "methods", "reporting", "rounding", "searching"),
        *("shrinking", "sparsifying", "sparsity", "weights"),
    },
    "training_data": set(),
    "searching": set(),
    "methods": {"layers"},
    "channels": {"channels", "graph", "layers", "sparsity"},
    "folding": {"channels", "graph", "layers"},
    "shrinking": {"channels", "folding", "graph", "layers", "sparsity"},
    "weights": {"packing", "sparsity"},
    "figures": set(),
    "piano_roll": {"figures"},
    "constellation": {"figures"},
    "sounding": set(),
    "input_files": {"input_files"},
    "reporting": {
        *("figures", "graph", "packing", "rounding", "sparsifying", "weights"),
    },
    "thresholds": {
        *("figures", "graph", "reporting", "sparsifying", "sparsity", "weights"),
    },
    "allowed_values": {"layers"},
    "allowed_layers": {"allowed_values", "layers"},
    "architecture_checks": {"allowed_layers", "graph", "layers"},
    "architecture": {
        *("allowed_layers", "architecture_checks", "graph", "layers", "sparsity"),
    },
    "rounding": {"channels", "folding", "graph", "sparsifying", "sparsity", "weights"},
    "compiling": {"losses", "metrics", "preset_files"},
    "stored_examples": {"catalogue", "graph", "preset_files"},
    "opening": {"catalogue", "packing", "preset_files"},
    "heads": {"architecture_checks", "layers", "preset_files"},
    "presets": {
        *("architecture", "compiling", "heads", "layers", "manifest_checks"),
        *("opening", "packing", "preset_files", "reporting", "stored_examples"),
        "weights",
    },
    "loading": {"graph", "opening", "packing", "preset_files", "weights"},
    "saving": {
        *("architecture", "cards", "compiling", "folders", "graph"),
        *("manifest_checks", "manifests", "packing", "preset_files", "reporting"),
        *("rounding", "sparsifying", "sparsity", "stored_examples", "weights"),
    },
    "exporting": {
        *("architecture", "catalogue", "coding", "downloads", "exporting"),
        *("folders", "graph", "layers", "models", "ops", "packing", "preset_files"),
        *("presets", "shrinking", "sparsity", "stored_examples", "weights"),
    },
    "importers": {"graph", "importers", "layers", "sparsity", "weights"},
    # Everything, in the functions of commands that need Keras.
    "commands": {
        *("exporting", "figures"),
        *("cards", "catalogue", "commands", "constellation", "decoding"),
        *("input_files", "piano_roll", "preset_files", "recipes", "sounding"),
        *("stored_examples", "all"),
    },
    "cli": {"commands"},
    "__main__": {"cli"},
}


def imports(path, inside_functions=True):
    """Dotted names that a file imports, in functions too unless told otherwise."""
    found = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree) if inside_functions else tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def rooms(path):
    """Modules of cvzoo that a file imports."""
    names = [name.split(".") for name in imports(path) if name.startswith("cvzoo")]
    return {parts[1] if len(parts) > 1 else "all" for parts in names}


def test_modules_of_cvzoo_import_only_what_is_below_them():
    seen = set()
    for path in (ROOT / "cvzoo").rglob("*.py"):
        room = path.relative_to(ROOT / "cvzoo").parts[0].removesuffix(".py")
        if room == "__init__":
            continue
        seen.add(room)
        assert rooms(path) <= ALLOWED[room], path
    assert seen == set(ALLOWED)


def test_recipes_import_nothing_and_nothing_imports_training():
    for path in (ROOT / "zoo_configs").glob("*.py"):
        assert imports(path) == set(), path
    for path in (ROOT / "cvzoo").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "import training" not in text and "from training" not in text, path


def test_tensorflow_is_imported_in_few_places_of_cvzoo():
    users = {"circulant.py", "compiling.py", "noise.py", "polynomials.py"}
    users |= {"products.py", "real_transforms.py", "scattering.py"}
    users |= {path.name for path in (ROOT / "cvzoo" / "exporting").glob("*.py")}
    for path in (ROOT / "cvzoo").rglob("*.py"):
        at_top = {name.split(".")[0] for name in imports(path, inside_functions=False)}
        anywhere = {name.split(".")[0] for name in imports(path)}
        assert "tensorflow" not in anywhere or path.name in users, path
        assert "tensorflow" not in at_top, path


def test_public_names_exist_and_none_is_also_a_module():
    modules = {path.stem for path in (ROOT / "cvzoo").glob("*.py")}
    for name in cvzoo.__all__:
        assert getattr(cvzoo, name) is not None
        assert name not in modules
