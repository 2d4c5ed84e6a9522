"""Run the named steps of the pipeline."""

from collections.abc import Sequence

from ser.config import ExperimentConfig
from ser.pipeline.extras import check_extras
from ser.runs.run import Run
from ser.system.launcher import refuse_several_processes


def run_steps(
    config: ExperimentConfig, steps: Sequence[str], run_name: str | None = None, resume: bool = False, repair: bool = False
) -> Run | None:
    """Run the named steps in the order given, and return the run of the train step. Each imports its own libraries: extract and transform
    do not import torch.

    Raises:
        ConfigError: the config needs an extra that is not installed, or this process is one of several. Other errors: see the steps.
    """
    refuse_several_processes()
    check_extras(config, steps)
    run = None
    for step in steps:
        match step:
            case "doctor":
                from ser.pipeline.doctor import doctor

                doctor(config)
            case "extract":
                from ser.pipeline.extract import extract

                extract(config)
            case "transform":
                from ser.pipeline.transform import transform

                transform(config, repair=repair)
            case "load":
                from ser.pipeline.load import load

                load(config)
            case "train":
                from ser.pipeline.train import train

                run = train(config, run_name=run_name, resume=resume)
            case _:
                raise ValueError(f"there is no step {step!r}")
    return run
