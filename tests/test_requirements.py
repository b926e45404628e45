"""What cvzoo imports is what it says it needs."""

import ast
import configparser
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def required():
    """Names of packages that are always installed, and of those in any extra."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")

    def names(text):
        lines = (line.strip() for line in text.splitlines())
        # Packages are imported by names without hyphens.
        return {
            line.split()[0].replace("-", "_")
            for line in lines
            if line and line[0] != "#"
        }

    extras = (names(text) for text in setup["options.extras_require"].values())
    return names(setup["options"]["install_requires"]), set().union(*extras)


def imported(path):
    """`(at once, in functions)`: packages of others that a file imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {
        node
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for node in ast.walk(function)
    }
    found = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module]
        else:
            continue
        found[node in inside].update(name.partition(".")[0] for name in names)
    own = {"cvzoo", *sys.stdlib_module_names}
    return tuple(one - own for one in found)


def test_what_is_imported_is_required():
    always, extras = required()
    # Imported by a function, which says how to install it.
    of_extras = {"cvzoo/downloads/hub.py": {"huggingface_hub"}}
    seen = set()
    for path in (ROOT / "cvzoo").rglob("*.py"):
        name = path.relative_to(ROOT).as_posix()
        at_once, in_functions = imported(path)
        assert at_once <= always | of_extras.get(name, set()), name
        assert in_functions <= always | extras, name
        seen |= at_once | in_functions
    assert always <= seen


def test_a_missing_requirement_would_be_seen(tmp_path):
    path = tmp_path / "module.py"
    path.write_text("import a.b\ndef f():\n    from c import d\nimport json\n")
    assert imported(path) == ({"a"}, {"c"})
