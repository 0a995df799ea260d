"""The parts of the report, in the order in which they run."""

import collections
import importlib.util
import itertools
import json
import re
import sys

from benchmarks.gpu_report.children import Ended, run_child
from benchmarks.gpu_report.plan import Budget, Part, Result, Setting
from benchmarks.gpu_report.training import measured, train_for_a_while
from settings.messages import say

# Tests whose arithmetic runs on the device, training and its resumption among them.
TESTS = (
    "tests/test_step.py",
    "tests/test_resume.py",
    "tests/test_losses.py",
    "tests/test_log_adam.py",
    "tests/test_adaptive_knee.py",
    "tests/test_networks.py",
    "tests/test_augment.py",
)
TEST_LINE = re.compile(r"^(tests/[^:]+)::(.+?) (PASSED|FAILED|ERROR|SKIPPED)")
OUTCOMES = {"PASSED": "passed", "SKIPPED": "skipped", "FAILED": "failed"}
RIVALS = "benchmarks.step"
RIVAL_ROUNDS = 5


def describe_card(setting: Setting, budget: Budget) -> Result:
    """Returns the facts of the device; "raw" is the exit status of its process."""
    ended, result = measured(setting, budget.left, "card")
    told = ended.output + ended.errors if ended.status == 0 else ""
    notices = told.splitlines()
    for line in notices:  # such as that the first start takes minutes
        say(line)
    return result | {"raw": ended.status, "text": "\n\n".join(notices)}


def first_start(setting: Setting, budget: Budget) -> Result:
    """Returns the seconds from the start of a process to its first images."""
    return measured(setting, budget.left, "first_start")[1]


def run_tests(setting: Setting, budget: Budget) -> Result:
    """Runs the tests whose arithmetic runs on the device."""
    options = ["-v", "--tb=no", "-p", "no:cacheprovider", "--color=no"]
    command = [sys.executable, "-m", "pytest", *options, *TESTS]
    return test_result(run_child(command, budget.left, setting.device))


def test_result(ended: Ended) -> Result:
    """Counts what pytest printed so far, test by test."""
    found = [TEST_LINE.match(line) for line in ended.output.splitlines()]
    outcomes = [match.groups() for match in found if match]
    rows = []
    for file, group in itertools.groupby(outcomes, lambda one: one[0]):
        counts = collections.Counter(OUTCOMES.get(one[2], "failed") for one in group)
        kinds = dict.fromkeys(OUTCOMES.values())
        rows.append({"tests": file} | {kind: counts[kind] for kind in kinds})
    failed = [
        f"{f}::{n} failed" for f, n, how in outcomes if how in ("FAILED", "ERROR")
    ]
    other = ended.trouble if ended.is_late or not failed else []
    return {"rows": rows, "trouble": failed + other}


def time_steps(setting: Setting, budget: Budget) -> Result:
    """Times iterations; determinism is global to a process, so it takes two."""
    results = []
    for share, options in ((0.5, ["--deterministic"]), (1.0, [])):
        result = measured(setting, share * budget.left, "steps", *options)[1]
        name = "deterministic" if options else "not deterministic"
        words = [f"{name}: {one}" for one in result["trouble"]]
        results.append(result | {"trouble": words})
    return joined(*results)


def measure_memory(setting: Setting, budget: Budget) -> Result:
    """Measures the peak memory at each size, each in a process of its own."""
    results = []
    for number, size in enumerate(setting.sizes):
        seconds = budget.left / (len(setting.sizes) - number)
        option = f"--set=data.image_size={size}"
        result = measured(setting, seconds, "memory", option)[1]
        words = [f"{size} px: {one}" for one in result["trouble"]]
        results.append(result | {"trouble": words})
    return joined(*results)


def race_rivals(setting: Setting, budget: Budget) -> Result:
    """Races the step against other libraries, if that benchmark is there."""
    if importlib.util.find_spec(RIVALS) is None:
        return {"text": f"Not measured: there is no {RIVALS} here."}
    path = setting.scratch / "rivals.json"
    page = path.with_suffix(".md")  # written after the parts, and again after the race
    options = ["--rounds", str(RIVAL_ROUNDS)]
    options += ["--json", str(path), "--markdown", str(page)]
    command = [sys.executable, "-m", RIVALS, str(setting.config), *setting.options]
    ended = run_child([*command, *options], budget.left, setting.device)
    raw = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    # Its headings go below the part's own.
    text = page.read_text(encoding="utf-8") if page.exists() else ended.output
    text = re.sub(r"^(#+ )", r"##\1", text, flags=re.MULTILINE)
    return {"text": text, "raw": raw, "trouble": ended.trouble}


def joined(*results: Result) -> Result:
    """Joins rows and trouble of several measurements."""
    keys = ("rows", "trouble")
    return {key: [one for result in results for one in result[key]] for key in keys}


PARTS = [
    Part(
        "card",
        "The device",
        "As TensorFlow and the driver tell it.",
        8,
        describe_card,
    ),
    Part(
        "first_start",
        "The start",
        "From the start of a process to its first images. Where CUDA must compile "
        "kernels for the card, this takes minutes the first time; what it compiled is "
        "kept, so a second report shows the usual start.",
        10,
        first_start,
    ),
    Part(
        "tests",
        "Tests",
        "Those whose arithmetic runs on the device; resuming a run bit for bit is "
        "among them.",
        14,
        run_tests,
    ),
    Part(
        "steps",
        "Time of an iteration",
        "Of the config, on noise. Medians in milliseconds; the mean weighs iterations "
        "with and without penalties as the config does. Inputs are ready.",
        30,
        time_steps,
    ),
    Part(
        "memory",
        "Peak memory",
        "Of one iteration with penalties, at several image sizes: of the GPU; on a "
        "CPU, of the whole process.",
        18,
        measure_memory,
    ),
    Part(
        "rivals",
        "Against others",
        f"`python -m {RIVALS}`: where the time of an iteration goes, and the same pair "
        "in other libraries.",
        10,
        race_rivals,
    ),
    Part(
        "training",
        "Training",
        "The config through train.py.",
        18,
        train_for_a_while,
    ),
]
