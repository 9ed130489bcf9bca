"""The head and the prompt of a reranker are the checkpoint's own: classifiers, CrossEncoder's files, chat templates."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from qwen3_inference import CheckpointError, LocalSettings
from qwen3_inference.hub import tiny_folder
from qwen3_inference.local.template import template_instruction
from qwen3_inference.prompts import RERANK_PREFIX, RERANK_SUFFIX
from sentence_transformers import CrossEncoder
from support import reference
from support.chat_template import CHAT_TEMPLATE
from support.checkpoints import SHAPES, write_tokenizer
from support.engines import PROBABILITY_TOLERANCE, assert_close, reranker
from support.variants import beside, classifier, copy, in_place_of, weights, without
from transformers import AutoModelForSequenceClassification, AutoTokenizer

QUERY = "What is MRL?"
DOCUMENTS = ["Matryoshka", "", "hello world " * 30, "русский\n\ncafé", "yes no yes"]
IDENTITY = {"activation_fn": "torch.nn.modules.linear.Identity"}


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize(
    ("settings", "probability"),
    [
        ({"labels": 1}, lambda logits: sigmoid(logits[:, 0])),
        ({"labels": 1, "sentence_transformers": IDENTITY}, lambda logits: sigmoid(logits[:, 0])),
        ({"labels": 2}, lambda logits: sigmoid(logits[:, 1] - logits[:, 0])),
        ({"labels": 2, "id2label": {0: "yes", 1: "no"}}, lambda logits: sigmoid(logits[:, 0] - logits[:, 1])),
        ({"labels": 2, "problem_type": "multi_label_classification"}, lambda logits: sigmoid(logits[:, 1])),
        (
            {"labels": 2, "id2label": {0: "entailment", 1: "not_entailment"}},
            lambda logits: sigmoid(logits[:, 0] - logits[:, 1]),
        ),
    ],
    ids=["one", "one, identity", "two", "two, named", "two, independent", "two, as QNLI names them"],
)
def test_a_classifier_is_scored_with_its_own_head(reranker_folder, tmp_path, tied, settings, probability):
    folder = copy(reranker_folder, tmp_path / "model", classifier(tied=tied, **settings))
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForSequenceClassification.from_pretrained(folder)
    task = f"<Instruct>: {reference.TASK}\n<Query>: {QUERY}\n<Document>: "
    prompts = [RERANK_PREFIX + task + document + RERANK_SUFFIX for document in DOCUMENTS]
    with torch.no_grad():
        rows = [model(**tokenizer(prompt, return_tensors="pt")).logits.double().numpy() for prompt in prompts]
    expected = probability(np.concatenate(rows))
    assert_close(reranker(folder).score(QUERY, DOCUMENTS), expected, PROBABILITY_TOLERANCE)
    assert np.ptp(expected) > 0.01, "scores that do not differ show nothing"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"labels": 3}, "the classes LABEL_0, LABEL_1, LABEL_2; a reranker has one, or two"),
        ({"labels": 2, "id2label": {"0": "cat", "1": "dog"}}, "the classes cat, dog"),
        ({"sbert_ce_default_activation_function": "torch.nn.modules.activation.Tanh"}, "the activation .*Tanh"),
        ({"sentence_transformers": {"activation_fn": "mine.Own"}}, "the activation 'mine.Own'"),
    ],
    ids=["three classes", "no class says yes", "another activation", "own activation"],
)
def test_a_classifier_that_gives_no_probability_is_refused(reranker_folder, tmp_path, settings, message):
    folder = copy(reranker_folder, tmp_path / "model", classifier(**settings))
    with pytest.raises(CheckpointError, match=message):
        LocalSettings(str(folder), "reranker").check()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (weights(lambda name, rows: {name.replace("score.", "head."): rows}), r"needed: score\.weight; .*head\.weight"),
        (in_place_of("score", lambda rows: rows[:, :-1]), r"score\.weight \(1, 31\) instead of \(1, 32\)"),
        (beside("score.weight", "score.bias", copied=False), r"unknown to its config\.json: score\.bias"),
    ],
    ids=["renamed", "mis-shaped", "with a bias"],
)
def test_a_head_that_does_not_fit_is_refused(reranker_folder, tmp_path, change, message):
    folder = copy(reranker_folder, tmp_path / "model", classifier())
    change(folder)
    with pytest.raises(CheckpointError, match=message):
        LocalSettings(str(folder), "reranker").check()


def test_an_untied_reranker_without_its_head_is_refused(checkpoint_folder, tmp_path):
    folder = copy(checkpoint_folder("reranker", SHAPES[1]), tmp_path / "model", without("lm_head.weight"))
    with pytest.raises(CheckpointError, match=r"lacks weights that are needed: lm_head\.weight"):
        LocalSettings(str(folder), "reranker").check()


def cross_encoder_files(folder: Path, prompt: str | None = None, answers: tuple[int, int] | None = None) -> None:
    """As the hub's repository has them since April 2026."""
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    yes, no = answers or (tokenizer.convert_tokens_to_ids("yes"), tokenizer.convert_tokens_to_ids("no"))
    modules = ("base.modules.transformer.Transformer", "cross_encoder.modules.logit_score.LogitScore")
    method = {"method": "forward", "method_output_name": "logits"}
    files = {
        "modules.json": [
            {"idx": i, "name": str(i), "path": ("", "1_LogitScore")[i], "type": f"sentence_transformers.{module}"}
            for i, module in enumerate(modules)
        ],
        "1_LogitScore/config.json": {"true_token_id": yes, "false_token_id": no, "module_input_name": "causal_logits"},
        "sentence_bert_config.json": {
            "transformer_task": "text-generation",
            "modality_config": {"text": method, "message": method | {"format": "flat"}},
            "module_output_name": "causal_logits",
        },
        "config_sentence_transformers.json": {
            "model_type": "CrossEncoder",
            "prompts": {"query": prompt} if prompt else {},
            "default_prompt_name": "query" if prompt else None,
            "activation_fn": "torch.nn.modules.linear.Identity",
        },
    }
    (folder / "1_LogitScore").mkdir()
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize("prompt", [None, "Find the contrary"])
@pytest.mark.parametrize("answers", [None, (40, 41)], ids=["yes and no", "other answers"])
def test_a_reranker_with_cross_encoders_files_equals_it(reranker_folder, tmp_path, prompt, answers):
    folder = copy(reranker_folder, tmp_path / "model", lambda copied: cross_encoder_files(copied, prompt, answers))
    theirs = CrossEncoder(str(folder), device="cpu", model_kwargs={"dtype": torch.float32})
    expected = theirs.predict([(QUERY, document) for document in DOCUMENTS], activation_fn=torch.nn.Sigmoid())
    assert_close(reranker(folder).score(QUERY, DOCUMENTS), expected, PROBABILITY_TOLERANCE)


def test_a_score_from_one_answer_is_refused(reranker_folder, tmp_path):
    folder = copy(reranker_folder, tmp_path / "model", cross_encoder_files)
    (folder / "1_LogitScore" / "config.json").write_text('{"true_token_id": 5, "false_token_id": null}')
    with pytest.raises(CheckpointError, match="a score from one logit is no probability"):
        LocalSettings(str(folder), "reranker").check()


@pytest.mark.parametrize("old", ["<Document>: ", "Judge whether", "</think>"])
def test_a_reranker_with_another_prompt_is_refused(reranker_folder, tmp_path, old):
    folder = copy(reranker_folder, tmp_path / "model", cross_encoder_files)
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text().replace(old, "Another"))
    with pytest.raises(CheckpointError, match=r"puts other words around query and document .*'Another"):
        reranker(folder).load()


@pytest.mark.parametrize(
    "template",
    [
        "{% for m in messages %}<|im_start|>{{ m.role }}<|im_end|>{% endfor %}{# document #}",
        "{{ messages[0]['tool_calls'][0] }}{# document #}",
        "{{ raise_exception('only user and assistant') }}{# document #}",
        "{% for {# document",
    ],
    ids=["roles alone", "tools", "refuses roles", "broken"],
)
def test_a_template_for_chats_says_nothing_of_pairs(reranker_folder, tmp_path, template):
    folder = copy(reranker_folder, tmp_path / "model")
    (folder / "chat_template.jinja").write_text(template)
    assert_close(reranker(folder).score("q", ["a"]), reranker(reranker_folder).score("q", ["a"]), 0)


def test_a_reranker_whose_tokenizer_appends_an_end_is_refused(reranker_folder, tmp_path):
    folder = copy(reranker_folder, tmp_path / "model", classifier())
    write_tokenizer(folder, appends_end=True)
    with pytest.raises(CheckpointError, match=r"appends \[\d+\] to a text, as an embedder's does"):
        reranker(folder).load()


def test_the_template_of_the_bundled_reranker_is_the_prompt():
    assert template_instruction(tiny_folder("reranker")) == reference.TASK
