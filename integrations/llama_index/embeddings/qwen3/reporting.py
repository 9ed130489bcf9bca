"""What a caller sees of an embedding call besides its vectors: LlamaIndex's events and a progress bar."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from llama_index.core.base.embeddings.base import BaseEmbedding, Embedding, dispatcher
from llama_index.core.callbacks import CBEventType, EventPayload
from llama_index.core.instrumentation.events.embedding import EmbeddingEndEvent, EmbeddingStartEvent
from qwen3_inference import Progress


@contextmanager
def reported(model: BaseEmbedding, texts: Sequence[str]) -> Iterator[Callable[[list[Embedding]], list[Embedding]]]:
    """Core's events around one call. The vectors go through the function it yields.

    The end is reported also when the call fails (without vectors; the callback's end then carries the exception, which
    the callback manager adds).
    """
    payload = model.to_payload()
    vectors: list[Embedding] = []

    def finish(result: list[Embedding]) -> list[Embedding]:
        vectors.extend(result)
        return result

    dispatcher.event(EmbeddingStartEvent(model_dict=payload))
    with model.callback_manager.event(CBEventType.EMBEDDING, payload={EventPayload.SERIALIZED: payload}) as event:
        try:
            yield finish
            event.on_end(payload={EventPayload.CHUNKS: list(texts), EventPayload.EMBEDDINGS: vectors})
        finally:
            dispatcher.event(EmbeddingEndEvent(chunks=list(texts), embeddings=vectors))


@contextmanager
def progress_bar(total: int, shown: bool) -> Iterator[Progress | None]:
    """A bar that counts texts, or None where none is wanted."""
    if not shown:
        yield None
        return
    from tqdm.auto import tqdm

    with tqdm(total=total, desc="Generating embeddings") as bar:
        yield bar.update
