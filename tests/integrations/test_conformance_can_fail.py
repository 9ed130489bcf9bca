"""The conformance suite catches known defects, each with the check that names it, and passes sound components."""

import pytest
from llama_index.core.postprocessor import SentenceTransformerRerank
from qwen3_conformance import (
    EMBEDDING_CHECKS,
    POSTPROCESSOR_CHECKS,
    ConformanceError,
    EmbeddingSubject,
    NotApplicableError,
    PostprocessorSubject,
)
from qwen3_conformance import embedding as embedding_checks
from qwen3_conformance import postprocessor as postprocessor_checks
from support import faulty
from support.checkpoints import make_checkpoint
from transformers import AutoConfig, Qwen3ForSequenceClassification

EMBEDDING_DEFECTS = [
    (faulty.NumpyNumbers, "vectors_are_lists_of_python_floats", "Python floats"),
    (faulty.SortedBatch, "a_batch_gives_the_vectors_of_single_calls_in_order", "vectors of the same texts differ"),
    (faulty.PaddingDependent, "permuting_the_texts_permutes_the_vectors", "differ"),
    (faulty.ChangesTheList, "the_callers_list_is_not_changed", "changed the list"),
    (faulty.WritesMetadata, "embedding_nodes_changes_nothing_but_their_embedding", "metadata changed"),
    (faulty.ChangesTheList, "events_are_paired_on_success", "reports no EmbeddingStartEvent"),
    (faulty.CoreDefaults, "events_are_paired_on_failure", "each start needs its end"),
    (faulty.ShowsItsKey, "no_secret_is_recorded", "carries 'api_key'"),
    (faulty.CarriesWeights, "a_pickle_round_trip_keeps_the_vectors_and_carries_no_weights", "weights or caches travel"),
    (faulty.KeepsALock, "a_deep_copy_keeps_the_vectors", "copy.deepcopy raises TypeError"),
    (faulty.CoreDefaults, "async_calls_leave_the_loop_free", "the event loop stood still"),
]
RERANK_DEFECTS = [
    (faulty.ChangesTheScores, "the_callers_nodes_and_metadata_are_not_changed", "were changed"),
    (faulty.ChangesTheScores, "changing_a_returned_score_leaves_the_callers_alone", "the caller's own"),
    (faulty.LeaksTheRetrievalScore, "reranking_a_result_again_gives_the_same_scores", "left something in the text"),
    (faulty.LeaksTheRetrievalScore, "a_result_shows_llms_and_embedders_no_bookkeeping", "is not the one it came with"),
    (faulty.UnstableTies, "equal_scores_keep_the_given_order", "another order"),
    (faulty.PositionDependent, "permuting_the_nodes_changes_no_score", "another order of the nodes"),
    (faulty.NeedsNoQuery, "a_missing_query_is_a_value_error", "raises nothing"),
    (faulty.NeedsNoQuery, "events_are_paired_on_success", "reports no ReRankStartEvent"),
    (faulty.StartsWithoutEnd, "events_are_paired_on_empty_input", "each start needs its end"),
    (faulty.StartsWithoutEnd, "events_are_paired_on_failure", "each start needs its end"),
    (faulty.BlocksTheLoop, "async_calls_leave_the_loop_free", "the event loop stood still"),
]


@pytest.mark.parametrize(("defect", "check", "message"), EMBEDDING_DEFECTS, ids=lambda v: getattr(v, "__name__", v))
def test_an_embedding_defect_is_caught(defect, check, message):
    with pytest.raises(ConformanceError, match=message):
        getattr(embedding_checks, check)(EmbeddingSubject(make=defect))


@pytest.mark.parametrize(("defect", "check", "message"), RERANK_DEFECTS, ids=lambda v: getattr(v, "__name__", v))
def test_a_reranking_defect_is_caught(defect, check, message):
    with pytest.raises(ConformanceError, match=message):
        getattr(postprocessor_checks, check)(PostprocessorSubject(make=defect))


def test_a_setting_lost_in_the_dictionary_is_caught():
    subject = EmbeddingSubject(make=lambda: faulty.ForgetsASetting(scale=2.0))
    with pytest.raises(ConformanceError, match="vectors of the same texts differ"):
        embedding_checks.a_dictionary_round_trip_keeps_the_vectors(subject)


def test_overlapping_forwards_are_caught():
    def probed(kind):
        def make(probe):
            component = kind()
            component._probe = probe
            return component

        return make

    with pytest.raises(ConformanceError, match="ran at once on one model"):
        embedding_checks.concurrent_calls_never_overlap_on_the_model(
            EmbeddingSubject(make=faulty.CoreDefaults, make_probed=probed(faulty.CoreDefaults))
        )
    with pytest.raises(ConformanceError, match="ran at once on one model"):
        postprocessor_checks.concurrent_calls_never_overlap_on_the_model(
            PostprocessorSubject(make=faulty.Overlaps, make_probed=probed(faulty.Overlaps))
        )


def test_cores_cache_is_caught_mixing_queries_and_documents():
    def cached(store):
        return faulty.CoreDefaults(embeddings_cache=store)

    with pytest.raises(ConformanceError, match="one text as query and as document shares a cache entry"):
        embedding_checks.the_cache_keeps_queries_and_texts_apart(
            EmbeddingSubject(make=faulty.CoreDefaults, make_cached=cached)
        )


def test_a_check_that_lacks_what_it_needs_says_so():
    with pytest.raises(NotApplicableError, match="make_probed"):
        embedding_checks.concurrent_calls_never_overlap_on_the_model(EmbeddingSubject(make=faulty.CoreDefaults))
    with pytest.raises(NotApplicableError, match="make_cached"):
        embedding_checks.a_cached_vector_is_the_computed_one(EmbeddingSubject(make=faulty.CoreDefaults))


@pytest.mark.parametrize("check", POSTPROCESSOR_CHECKS, ids=lambda check: check.__name__)
def test_a_sound_reranker_passes(check):
    if check is postprocessor_checks.concurrent_calls_never_overlap_on_the_model:
        pytest.skip("has no model to probe")
    check(PostprocessorSubject(make=faulty.SoundRerank))


def test_every_check_is_listed_once_and_says_what_holds():
    for checks in (EMBEDDING_CHECKS, POSTPROCESSOR_CHECKS):
        names = [check.__name__ for check in checks]
        assert len(names) == len(set(names))
        assert all("_" in name and not name.startswith(("test", "check", "_")) for name in names)
    for module, checks in ((embedding_checks, EMBEDDING_CHECKS), (postprocessor_checks, POSTPROCESSOR_CHECKS)):
        defined = {
            value
            for name, value in vars(module).items()
            if callable(value) and getattr(value, "__module__", "") == module.__name__ and not name.startswith("_")
        }
        assert defined == set(checks), "a check is defined but not listed"


def test_cores_own_cross_encoder_reranker_fails_where_it_is_known_to(tmp_path):
    folder = make_checkpoint(tmp_path / "classifier", "reranker")
    config = AutoConfig.from_pretrained(folder, num_labels=1, pad_token_id=0)
    Qwen3ForSequenceClassification(config).save_pretrained(folder)

    def make():
        return SentenceTransformerRerank(
            top_n=2048, model=str(folder), device="cpu", keep_retrieval_score=True, trust_remote_code=False
        )

    failed = set()
    for check in POSTPROCESSOR_CHECKS:
        try:
            check(PostprocessorSubject(make=make))
        except ConformanceError:
            failed.add(check.__name__)
        except NotApplicableError:
            pass
    assert failed >= {
        "the_callers_nodes_and_metadata_are_not_changed",
        "changing_a_returned_score_leaves_the_callers_alone",
        "reranking_a_result_again_gives_the_same_scores",
        "a_result_shows_llms_and_embedders_no_bookkeeping",
        "events_are_paired_on_success",
    }
