"""The command line: thin commands over functions of the same name. Heavy imports stand inside them, so `ser --help` answers at once."""

import atexit
import gc
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from types import FrameType
from typing import Annotated, Literal, NoReturn

import typer

from ser import __version__
from ser.errors import ConfigError, DataError, SerError
from ser.system.memory import MEMORY_MESSAGE, is_out_of_memory

log = logging.getLogger(__name__)

STEPS = ("extract", "transform", "load", "train")
EXTRA_STEPS = ("doctor",)

app = typer.Typer(
    name="ser",
    help="From folders of emotional speech to a measured emotion recogniser.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Verbosity = Annotated[
    int, typer.Option("-v", "--verbose", count=True, show_default=False, help="Say what each step does; -vv also of each file.")
]


class Terminated(BaseException):
    """SIGTERM arrived. No `Exception`, so that nothing on the way down swallows it."""


def terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise Terminated


@contextmanager
def exit_codes() -> Iterator[None]:
    """What a command may end with, as one line and the exit code of the error tree."""
    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except SerError as error:
        log.debug("where it came from", exc_info=True)
        fail(str(error), error.exit_code)
    except OSError as error:
        log.debug("where it came from", exc_info=True)
        fail(str(error), DataError.exit_code)
    except (MemoryError, ImportError) as error:
        if not is_out_of_memory(error):
            raise
        log.debug("where it came from", exc_info=True)
        fail(MEMORY_MESSAGE, DataError.exit_code)
    except KeyboardInterrupt:
        fail("stopped by Ctrl-C; what was finished is kept", 128 + signal.SIGINT)
    except Terminated:
        fail("stopped by SIGTERM; what was finished is kept", 128 + signal.SIGTERM)


def fail(message: str, code: int) -> NoReturn:
    print(f"ser: {message}", file=sys.stderr)
    raise SystemExit(code) from None


def parse_steps(text: str) -> list[str]:
    """Names of steps, in the order of the pipeline however they were typed.

    >>> parse_steps("train,load")
    ['load', 'train']
    """
    from ser.config_file import suggestion

    known = (*EXTRA_STEPS, *STEPS)
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise ConfigError(f"--steps {text}: no step {name!r}{suggestion(name, known)}; steps: {', '.join((*STEPS, *EXTRA_STEPS))}")
    if not names:
        raise ConfigError(f"--steps is empty; steps: {', '.join((*STEPS, *EXTRA_STEPS))}")
    return [name for name in known if name in names]


def start_quickly() -> None:
    """For a command that is over in less time than its imports take: before numpy is imported."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's threads would start, find no work, and burn a tenth of a second waiting
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # it would look for some in every package that is installed
    gc.set_threshold(50_000)  # imports make many objects and no garbage
    atexit.register(gc.freeze)  # nor is there any to look for at the end


def named(config: str | None) -> str:
    """
    Raises:
        ConfigError: no config was given.
    """
    if config is None:
        raise ConfigError("--config is missing: give a path or a name, like --config spectral_crnn.yaml")
    return config


def refuse_empty(options: dict[str, str | None]) -> None:
    """
    Raises:
        ConfigError: one was given without a value, as by a variable of the shell that is not set.
    """
    for name, value in options.items():
        if value == "":
            raise ConfigError(f"{name} is empty")


def version_and_exit(wanted: bool) -> None:
    if wanted:
        print(f"ser {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def pipeline(  # noqa: PLR0913, PLR0917 - the contract of the command line
    context: typer.Context,
    config: Annotated[str | None, typer.Option(help="A path, a name in ./configs, or a name shipped with ser.", show_default=False)] = None,
    steps: Annotated[str, typer.Option(help="Any of extract, transform, load, train, doctor.")] = ",".join(STEPS),
    epochs: Annotated[int | None, typer.Option(help="Short for --set train.epochs=N.", show_default=False)] = None,
    run_name: Annotated[str | None, typer.Option(help="Name of the run's folder, instead of time and model.", show_default=False)] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="key.sub=value on top of the config; repeatable.", show_default=False)
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run of this config (or of --run-name).")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="In transform: check the store and compute damaged shards again.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, with counts, and do nothing.")] = False,
    verbose: Verbosity = 0,
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=version_and_exit, help="Print the version.", show_default=False)
    ] = False,
) -> None:
    """Run the pipeline: index and split the audio, compute features, check them, train and measure a model."""
    if context.invoked_subcommand is not None:
        return
    with exit_codes():
        from ser.config_file import load_config
        from ser.system.console import set_up_logging

        set_up_logging(verbose)

        names = parse_steps(steps)
        if run_name is not None and (not run_name.strip(".") or "/" in run_name):
            raise ConfigError(f"--run-name {run_name!r} is not the name of a folder")
        loaded = load_config(named(config), [*(settings or []), *([f"train.epochs={epochs}"] if epochs is not None else [])])
        if dry_run:
            from ser.pipeline.plan import plan

            plan(loaded, names)
        else:
            from ser.pipeline.steps import run_steps

            run_steps(loaded, names, run_name=run_name, resume=resume, repair=repair)


ConfigOption = Annotated[
    str | None, typer.Option("--config", help="A path, a name in ./configs, or a name shipped with ser.", show_default=False)
]
Settings = Annotated[list[str] | None, typer.Option("--set", help="key.sub=value on top of the config; repeatable.", show_default=False)]

protocol_app = typer.Typer(help="Named protocols: published folds, leave one out, the corpus x corpus matrix.", no_args_is_help=True)
app.add_typer(protocol_app, name="protocol")


@protocol_app.command("list")
def protocol_list() -> None:
    """One line for each protocol."""
    with exit_codes():
        from ser.commands.protocol_show import print_list
        from ser.system.console import set_up_logging

        set_up_logging(0)
        print_list()


@protocol_app.command("show")
def protocol_show(name: Annotated[str, typer.Argument(help="As in `ser protocol list`.")]) -> None:
    """What a protocol demands: corpora, classes, folds with speakers and counts, checksum, source."""
    with exit_codes():
        from ser.commands.protocol_show import print_protocol
        from ser.system.console import set_up_logging

        set_up_logging(0)
        print_protocol(name)


@protocol_app.command("run")
def protocol_run(  # noqa: PLR0913, PLR0917 - the contract of the command line
    name: Annotated[
        str | None, typer.Argument(help="As in `ser protocol list`; else protocol.name of the config.", show_default=False)
    ] = None,
    config: ConfigOption = None,
    seeds: Annotated[str | None, typer.Option(help="Of training, as 1,2,3; else protocol.seeds of the config.", show_default=False)] = None,
    folds: Annotated[
        str | None, typer.Option(help="Only these folds, as 1,2; the table then covers what is finished.", show_default=False)
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Short for --set train.epochs=N.", show_default=False)] = None,
    leak_delta: Annotated[bool, typer.Option("--leak-delta", help="Train on random splits too: what would leakage have bought?")] = False,
    incomplete: Annotated[bool, typer.Option("--incomplete", help="Go on where speakers or clips of the corpora are not here.")] = False,
    settings: Settings = None,
    verbose: Verbosity = 0,
) -> None:
    """Train and measure every fold with every seed; run again, it goes on where it stopped."""
    with exit_codes():
        from ser.config_file import load_config
        from ser.pipeline.protocol import run_protocol
        from ser.system.console import set_up_logging

        set_up_logging(verbose)
        extra = [*([f"train.epochs={epochs}"] if epochs is not None else []), *([f"protocol.seeds=[{seeds}]"] if seeds is not None else [])]
        chosen = None if folds is None else [fold.strip() for fold in folds.split(",")]
        run_protocol(
            load_config(named(config), [*(settings or []), *extra]), name, folds=chosen, leak_delta=leak_delta, incomplete=incomplete
        )


@app.command()
def report(
    run: Annotated[str | None, typer.Argument(help="Folder of a finished run.", show_default=False)] = None,
    compare: Annotated[
        tuple[str, str] | None, typer.Option(metavar="RUN_A RUN_B", help="Say whether run A is better than run B.", show_default=False)
    ] = None,
    audio: Annotated[bool, typer.Option(help="Put the sound of the examples into the page.")] = True,
    clips: Annotated[int, typer.Option(min=0, help="Test clips that are spoiled to measure robustness; 0 leaves it out.")] = 400,
    settings: Settings = None,
    verbose: Verbosity = 0,
) -> None:
    """Write report.html and MODEL_CARD.md into the folder of a run, or compare two runs."""
    with exit_codes():
        from ser.system.console import set_up_logging

        set_up_logging(verbose)
        if (run is None) == (compare is None):
            raise ConfigError("give the folder of a run, or --compare with the folders of two")
        if compare is not None:
            from ser.commands.compare import compare_runs

            compare_runs(*compare)
        elif run is not None:
            from ser.commands.report import report as write_report

            write_report(run, audio=audio, clips=clips, settings=settings or [])


@app.command()
def visualize(  # noqa: PLR0913, PLR0917 - the contract of the command line
    config: ConfigOption = None,
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    row_idx: Annotated[int, typer.Option(min=0, help="Row of the split's table, counted from 0.")] = 0,
    utterance_id: Annotated[
        str | None, typer.Option("--id", help="An utterance of any split, instead of a row.", show_default=False)
    ] = None,
    show_ssl_dims: Annotated[int, typer.Option(min=1, help="Dimensions of the backbone's frames in the heat map.")] = 64,
    show_prenorm: Annotated[bool, typer.Option("--show-prenorm", help="The features before normalisation beside those after.")] = False,
    preview_aug: Annotated[int, typer.Option(min=0, help="Altered copies to show, made as the transform step makes them.")] = 0,
    run: Annotated[str | None, typer.Option(help="Folder of a run, for its attention and gates.", show_default=False)] = None,
    save: Annotated[bool, typer.Option("--save", help="Write the figures below reports/vis.")] = False,
    show: Annotated[bool, typer.Option(help="Open a window.")] = True,
    settings: Settings = None,
    verbose: Verbosity = 0,
) -> None:
    """Show one utterance: the stages of its waveform, and its features as they were stored."""
    with exit_codes():
        from ser.commands.visualize import visualize as show_utterance
        from ser.config_file import load_config
        from ser.system.console import set_up_logging

        set_up_logging(verbose)
        show_utterance(
            load_config(named(config), settings or []),
            split=split,
            row_idx=row_idx,
            utterance_id=utterance_id,
            ssl_dims=show_ssl_dims,
            prenorm=show_prenorm,
            previews=preview_aug,
            run=run,
            save=save,
            show=show,
        )


@app.command()
def export(  # noqa: PLR0913, PLR0917 - the contract of the command line
    run: Annotated[str, typer.Argument(help="Folder of a finished run; for --web also a file that was exported already.")],
    out: Annotated[
        str | None, typer.Option(help="The file to write; else model.onnx in the folder of the run.", show_default=False)
    ] = None,
    int8: Annotated[bool, typer.Option("--int8", help="Weights in 8 bits: a file of less than half the size.")] = False,
    backbone: Annotated[
        str | None, typer.Option(help="Folder or hub model, for a run with one that has moved.", show_default=False)
    ] = None,
    head_only: Annotated[bool, typer.Option("--head-only", help="Without the backbone: the file takes its frames instead.")] = False,
    web: Annotated[
        str | None, typer.Option(help="Folder for a page in which the model runs without a server.", metavar="DIR", show_default=False)
    ] = None,
    runtime: Annotated[
        str | None, typer.Option(help="Folder or tarball of onnxruntime-web, for --web without npm.", metavar="PATH", show_default=False)
    ] = None,
    verbose: Verbosity = 0,
) -> None:
    """Write the model of a run as one .onnx file, from waveform to calibrated probabilities, and try it."""
    with exit_codes():
        from ser.commands.export import export as write_export
        from ser.system.console import set_up_logging

        set_up_logging(verbose)
        if runtime is not None and web is None:
            raise ConfigError("--runtime goes with --web")
        if web is None:
            write_export(run, out, int8=int8, backbone=backbone, head_only=head_only)
            return
        if head_only:
            raise ConfigError("--head-only: a page needs a whole model")
        from ser.commands.web import export_page

        export_page(run, web, out=out, int8=int8, backbone=backbone, runtime=runtime)


@app.command()
def predict(  # noqa: PLR0913, PLR0917 - the contract of the command line
    paths: Annotated[
        list[str] | None,
        typer.Argument(help="Files, folders, patterns, or - for one on standard input.", metavar="PATH...", show_default=False),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "-m",
            "--model",
            help="Folder of a run, or a file that `ser export` wrote; else $SER_MODEL, or the newest run here.",
            show_default=False,
        ),
    ] = None,
    form: Annotated[str, typer.Option("--format", help="table, json, jsonl, csv, rttm or srt.")] = "table",
    window: Annotated[
        float | None, typer.Option(help="Seconds heard at once; else what the model was trained on.", show_default=False)
    ] = None,
    hop: Annotated[float | None, typer.Option(help="Seconds from window to window; else half a window.", show_default=False)] = None,
    backbone: Annotated[
        str | None, typer.Option(help="Folder or hub model, for a run with one that has moved.", show_default=False)
    ] = None,
    voice: Annotated[
        Literal["auto", "silero", "energy"], typer.Option(help="Who tells speech from silence; auto: silero where it is installed.")
    ] = "auto",
    mic: Annotated[
        bool, typer.Option("--mic", help="Hear the microphone instead, until Ctrl-C: an answer every half second, or --hop.")
    ] = False,
    seconds: Annotated[float | None, typer.Option(help="End --mic after so long.", show_default=False)] = None,
    verbose: Verbosity = 0,
) -> None:
    """Say what a trained model hears in recordings of any length: emotion, or `unknown` where it is not sure enough.

    Every file is heard, also behind a broken one, which gets a row with its reason; the exit code is then 3. Long recordings are heard in
    overlapping windows, without the silence between.
    """
    with exit_codes():
        start_quickly()
        from ser.commands.predict import predict as predict_paths
        from ser.system.console import set_up_logging

        set_up_logging(verbose)
        from ser.inference.options import PredictOptions

        refuse_empty({"--model": model, "--backbone": backbone})
        options = PredictOptions(model, window, hop, backbone, voice)
        if mic:
            if paths:
                raise ConfigError("--mic hears the microphone: give no recordings with it")
            from ser.commands.microphone import predict_microphone

            predict_microphone(options, form, seconds)
            return
        if seconds is not None:
            raise ConfigError("--seconds ends --mic; recordings are heard to their end")
        predict_paths(paths or [], options, form)


@app.command()
def serve(  # noqa: PLR0913, PLR0917 - the contract of the command line
    model: Annotated[str, typer.Argument(help="Folder of a run, or a file that `ser export` wrote.", show_default=False)],
    host: Annotated[str, typer.Option(help="Address to listen at; there is no authentication.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any that is free.")] = 8000,
    workers: Annotated[int | None, typer.Option(help="Processes that hear; else one a processor, at most 4.", show_default=False)] = None,
    max_mb: Annotated[float, typer.Option(help="MiB of an upload.")] = 32.0,
    max_seconds: Annotated[float, typer.Option(help="Of its sound.")] = 600.0,
    timeout: Annotated[float, typer.Option(help="Seconds for an upload, for its wait, and for being heard, each.")] = 30.0,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Another name under which requests may come; repeatable.", show_default=False)
    ] = None,
    backbone: Annotated[
        str | None, typer.Option(help="Folder or hub model, for a run with one that has moved.", show_default=False)
    ] = None,
    verbose: Verbosity = 0,
) -> None:
    """Answer over HTTP what a trained model hears: a page at /, POST /v1/predict for programs, its description at /docs.

    Ctrl-C or SIGTERM answers what is in flight, and leaves no process behind.
    """
    with exit_codes():
        from ser.commands.serve import serve as answer_requests
        from ser.system.console import set_up_logging

        set_up_logging(verbose)
        from ser.inference.options import PredictOptions

        options = PredictOptions(model, backbone=backbone)
        answer_requests(options, host, port, workers, max_mb, max_seconds, timeout, allow_host or ())


@app.command()
def demo(
    folder: Annotated[str, typer.Option(help="Where everything is written.")] = "demo",
    verbose: Verbosity = 1,
) -> None:
    """Run the whole pipeline on the sample of CREMA-D that comes with ser."""
    with exit_codes():
        from ser.commands.demo import demo as run_demo
        from ser.system.console import set_up_logging

        set_up_logging(verbose)

        run_demo(folder)


def main() -> None:
    """Entry point of the console script."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started the program: cron, a service
            setattr(sys, name, open(os.devnull, "w"))  # noqa: PTH123, SIM115
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a folder's name that a terminal without UTF-8 cannot show
    with exit_codes():
        app(prog_name="ser")
