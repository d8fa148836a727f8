"""``searchkit eval``: measure an encoder on a set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from searchkit.cli.options import JsonFlag, LibraryOption, ModelDirOption, ModelOption
from searchkit.cli.output import note, print_json, table
from searchkit.cli.query_options import PromptOption
from searchkit.cli.waiting import waiting

if TYPE_CHECKING:
    from searchkit.evaluation import Pair

__all__ = ["evaluate"]

_HEADS = (
    "from",
    "to",
    "queries",
    "targets",
    "hit@1",
    "hit@10",
    "recall@10",
    "nDCG@10",
    "median",
    "MRR",
    "mAP",
)


def evaluate(
    dataset: Annotated[Path, typer.Argument(help="A manifest: JSON lines.", show_default=False)],
    prompt: PromptOption = None,
    library: LibraryOption = None,
    model: ModelOption = None,
    model_dir: ModelDirOption = None,
    json: JsonFlag = False,
) -> None:
    """Measure how well a model finds what a set calls relevant, for every pair of modalities.

    A line of the set: {"id": "dog1", "modality": "image", "path": "dog.jpg", "relevant": ["bark1"]}
    or {"id": "q1", "query": "audio:bark.wav + 0.5*snow", "relevant": ["dog1"]}; docs/searching.md has it all.
    hit@k: share of queries with something relevant among the first k; recall@k: mean share of it found there.

    Example: searchkit eval my_set.jsonl --json
    """
    from searchkit.evaluation import evaluate_dataset

    with waiting("loading the model") as report:
        found = evaluate_dataset(
            dataset,
            library=library,
            model=model,
            model_dir=model_dir,
            prompts=prompt or (),
            progress=report,
        )
    if json:
        print_json({"dataset": str(dataset), **found.to_dict()})
        return
    for id, reason in found.failed.items():
        note(f"  left out: {id}: {reason}")
    table(_HEADS, [_cells(pair) for pair in found.pairs])


def _cells(pair: Pair) -> tuple[str, ...]:
    measures = pair.measures
    return (
        pair.kind,
        pair.target.value,
        str(measures.queries),
        str(pair.targets),
        f"{measures.hit_rate[1]:.3f}",
        f"{measures.hit_rate[10]:.3f}",
        f"{measures.divided_recall[10]:.3f}",
        f"{measures.ndcg[10]:.3f}",
        f"{measures.median_rank:g}",
        f"{measures.mrr:.3f}",
        f"{measures.map:.3f}",
    )
