"""What the peer scripts share: options, the clock, memory, and the line of JSON they end with."""

import argparse
import json
import resource
import statistics
import time


def parser_of(module_docstring, seconds):
    parser = argparse.ArgumentParser(
        description=module_docstring, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=seconds, help="measure for about so long")
    parser.add_argument("--threads", type=int, default=2)
    return parser


def peak_rss_bytes():
    """Of this process since it began; compilers that it started are processes of their own."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def clocked(run):
    """A function that calls `run` and returns the seconds it took."""

    def timed():
        begin = time.perf_counter()
        run()
        return time.perf_counter() - begin

    return timed


def measured(timed, seconds, warm_up=2, fewest=3):
    """What calls of `timed` return, in seconds, after `warm_up` calls: at least `fewest`, and `seconds` altogether."""
    for _ in range(warm_up):
        timed()
    times = []
    while len(times) < fewest or sum(times) < seconds:
        times.append(timed())
    return times


def summary(times, name):
    """Median, shortest and longest, named after what was measured."""
    return {
        name: statistics.median(times),
        f"{name}_shortest": min(times),
        f"{name}_longest": max(times),
        "measured": len(times),
    }


def step_fields(tokens, times, losses):
    """What is reported of training steps of so many tokens: their seconds, rates and losses."""
    seconds = summary(times, "seconds_per_step")
    return {
        "tokens": tokens,
        "tokens_per_second": tokens / seconds["seconds_per_step"],
        "tokens_per_second_highest": tokens / seconds["seconds_per_step_shortest"],
        **seconds,
        "first_loss": losses[0],
        "last_loss": losses[-1],
    }


def report_steps(step, tokens, options, fields):
    """Measures a training step, which returns its loss, and reports it: `fields` and what every step has."""
    losses = [step()]
    times = measured(clocked(lambda: losses.append(step())), options.seconds)
    report(
        {
            "peer": "pytorch",
            **fields,
            "mode": options.mode,
            "threads": options.threads,
            **step_fields(tokens, times, losses),
            "peak_rss_bytes": peak_rss_bytes(),
        }
    )


def report(fields):
    """The script's last line of output; numbers to six digits."""
    rounded = {key: float(f"{value:.6g}") if isinstance(value, float) else value for key, value in fields.items()}
    print(json.dumps(rounded))
