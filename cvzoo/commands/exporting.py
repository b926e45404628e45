"""`cvzoo export NAME FOLDER`: a preset as a SavedModel."""


def add_to(commands):
    """Adds the command to the parser's commands."""
    parser = commands.add_parser("export", help="write a preset as a SavedModel")
    parser.add_argument("name", help="a preset's name, folder or address")
    parser.add_argument("folder", help="where to write it")
    parser.set_defaults(run=run)


def run(options):
    """Writes the SavedModel; returns the exit status."""
    import cvzoo

    model = cvzoo.from_preset(options.name, compile=False, masked=False)
    report = cvzoo.export(model, options.folder)
    print(
        f"{options.folder}: {report['bytes']:,} bytes; largest difference "
        f"from the preset's outputs {report['max_abs_error']:.1e}"
    )
    return 0
