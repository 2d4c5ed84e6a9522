"""`ser predict`."""

import atexit
import gc
import os
from typing import Annotated, Literal

import typer

from ser.commands.arguments.common import Backbone, ModelOption, Verbosity, refuse_empty
from ser.commands.arguments.completion import complete_formats
from ser.commands.exit_codes import exit_codes
from ser.errors import ConfigError

Detector = Literal["auto", "silero", "energy"]


def predict(  # noqa: PLR0913, PLR0917 - the contract of the command line
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="PATH", help="Files, folders, patterns, or - for standard input.", show_default=False),
    ] = None,
    model: ModelOption = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="table, json, jsonl, csv, timeline-csv, rttm or srt [default: table, or the suffix of --output].",
            show_default=False,
            autocompletion=complete_formats,
        ),
    ] = None,
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="FILE", help="File to write instead of printing.", show_default=False)
    ] = None,
    embedding: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="File for the embeddings of the recordings, .npy or .csv.", show_default=False),
    ] = None,
    window: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Length of a window [default: as the model was trained].", show_default=False),
    ] = None,
    hop: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Time between windows [default: half the window].", show_default=False)
    ] = None,
    backbone: Backbone = None,
    vad: Annotated[
        Detector, typer.Option(metavar="DETECTOR", help="Speech detector: auto (silero if it is installed), silero or energy.")
    ] = "auto",
    voice: Annotated[Detector | None, typer.Option(metavar="DETECTOR", hidden=True, help="The former name of --vad.")] = None,
    mic: Annotated[bool, typer.Option("--mic", help="Predict from the microphone until Ctrl-C, every half second or --hop.")] = False,
    seconds: Annotated[float | None, typer.Option(metavar="SECONDS", help="Stop --mic after this time.", show_default=False)] = None,
    verbose: Verbosity = 0,
) -> None:
    """Predict the emotion in recordings of any length. The answer is `unknown` if the model is not confident enough.

    Long recordings are processed in overlapping windows, without silence. A file that cannot be used gets a row with the reason, and all
    others are still processed; the exit code is then 3.

    Examples:
      ser predict recording.wav
      ser predict calls/ -o calls.csv
      ser predict recording.wav --model runs/NAME
      ser predict --mic
    """
    with exit_codes():
        start_quickly()
        from ser.commands.predict import predict as predict_paths
        from ser.system.console import set_up_logging

        set_up_logging(verbose)
        from ser.inference.options import PredictOptions

        refuse_empty({"--model": model, "--backbone": backbone, "--output": output, "--embedding": embedding})
        options = PredictOptions(model, window, hop, backbone, voice or vad)
        if mic:
            if paths:
                raise ConfigError("--mic uses the microphone: give no recordings with it")
            if output is not None:
                raise ConfigError("--output is for recordings: redirect the lines of --mic with > FILE")
            if embedding is not None:
                raise ConfigError("--embedding is for recordings, not for --mic")
            from ser.commands.microphone import predict_microphone

            predict_microphone(options, form or "table", seconds)
            return
        if seconds is not None:
            raise ConfigError("--seconds is for --mic; recordings are processed to their end")
        predict_paths(paths or [], options, form, output, embedding)


def start_quickly() -> None:
    """Shorten the start of a command that takes less time than its imports. Called before numpy is imported."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's threads would start and spend a tenth of a second waiting without work
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # it would search every installed package for plugins
    gc.set_threshold(50_000)  # imports create many objects and no garbage
    atexit.register(gc.freeze)  # nor is there garbage to collect at the end
