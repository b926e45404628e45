"""`cvzoo export NAME FOLDER`: a preset for servers and devices."""

FORMATS = ("tf_saved_model", "litert")


def add_to(commands):
    """Adds the command to the parser's commands."""
    parser = commands.add_parser("export", help="write a preset for servers or devices")
    parser.add_argument("name", help="a preset's name, folder or address")
    parser.add_argument("folder", help="where to write it")
    parser.add_argument(
        "--format", choices=FORMATS, default=FORMATS[0], help=f"default: {FORMATS[0]}"
    )
    parser.add_argument(
        "--batch-size",
        type=int,
        default=1,
        metavar="N",
        help="examples of a call, for which it should be fast; default: 1",
    )
    parser.add_argument("--int8", action="store_true", help="LiteRT weights of 8 bits")
    parser.add_argument(
        "--complex-inputs",
        choices=("complex64", "last_axis"),
        help="how complex inputs of a SavedModel are given; JSON takes last_axis only",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an export")
    parser.set_defaults(run=run)


def run(options):
    """Writes the export; returns the exit status."""
    import cvzoo

    report = cvzoo.export(
        options.name,
        options.folder,
        options.format,
        batch_size=options.batch_size,
        quantize="int8" if options.int8 else None,
        complex_inputs=options.complex_inputs,
        overwrite=options.overwrite,
    )
    times = ", ".join(
        f"{took:.2f} ms for {size}" for size, took in report["milliseconds"].items()
    )
    print(
        f"{options.folder}: {report['bytes']:,} bytes; largest difference "
        f"from the preset's outputs {report['max_abs_error']:.1e}; {times}"
    )
    return 0
