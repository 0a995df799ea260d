"""TF_CONFIG, as Keras documents it, and what is wrong with it."""

import json

import pytest

from settings.config import RuntimeConfig
from settings.messages import Problem
from training.distribution.cluster import EXAMPLE, cluster_of, read_cluster

TWO = ["a:1", "b:2"]


def with_config(monkeypatch, cluster, job="worker", index=0):
    value = {"cluster": cluster, "task": {"type": job, "index": index}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(value))


def test_the_first_worker_is_the_chief_unless_there_is_a_task_of_that_name(monkeypatch):
    with_config(monkeypatch, {"worker": TWO}, index=1)
    cluster = read_cluster()
    assert cluster == (("a:1", "b:2"), 1, {"worker": TWO})
    assert not cluster.is_chief
    with_config(monkeypatch, {"worker": TWO, "chief": ["c:3"]}, index=0)
    jobs = {"chief": ["c:3"], "worker": TWO}
    assert read_cluster() == (("c:3", "a:1", "b:2"), 1, jobs)
    with_config(monkeypatch, {"worker": TWO, "chief": ["c:3"]}, job="chief")
    assert read_cluster().is_chief
    monkeypatch.setenv("TF_CONFIG", EXAMPLE)
    assert read_cluster().addresses == ("10.0.0.1:2222", "10.0.0.2:2222")


def test_only_several_workers_need_the_variable(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert cluster_of(RuntimeConfig(distribution="mirrored")) is None
    with pytest.raises(Problem) as caught:
        cluster_of(RuntimeConfig(distribution="multi_worker"))
    assert caught.value.status == 2
    assert "found:    nothing: the variable is not set" in str(caught.value)
    assert EXAMPLE in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{'cluster'", "text that is not JSON"),
        ("[]", "without a valid"),
        ('{"cluster": {"worker": ["a:1"]}}', "without a valid 'task'"),
        ('{"cluster": [], "task": {"type": "worker", "index": 0}}', "with a list"),
    ],
)
def test_text_that_is_no_cluster_is_refused(monkeypatch, text, words):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(Problem, match=words):
        read_cluster()


@pytest.mark.parametrize(
    ("cluster", "job", "index", "words"),
    [
        ({"worker": TWO}, "worker", 2, "the task worker 2, which is not in the"),
        ({"worker": TWO}, "chief", 0, "the task chief 0, which is not in the"),
        ({"worker": TWO, "ps": ["p:1"]}, "worker", 0, "a cluster with ps"),
        ({"worker": ["a:1", "a:1"]}, "worker", 0, "a:1 more than once"),
        ({"worker": ["a", "b:2"]}, "worker", 0, "'a' in place of an address"),
        ({"worker": "a:1"}, "worker", 0, "'a:1' in place of a list"),
        ({"worker": TWO, "chief": ["c:1", "d:1"]}, "chief", 0, "several chiefs"),
    ],
)
def test_a_cluster_that_cannot_be_is_refused(monkeypatch, cluster, job, index, words):
    with_config(monkeypatch, cluster, job, index)
    with pytest.raises(Problem, match=words):
        read_cluster()
