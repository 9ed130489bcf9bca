"""Generated documents (HyDE, `custom_embedding_strs`) that pass the query side of LlamaIndex."""

from typing import Any

from llama_index.core.indices.query.query_transform.base import BaseQueryTransform
from llama_index.core.prompts.mixin import PromptDictType, PromptMixinType
from llama_index.core.schema import QueryBundle


class DocumentText(str):
    """A text that `Qwen3Embedding` embeds as a document (bare) even where LlamaIndex asks for a query embedding.

    >>> from llama_index.core.schema import QueryBundle
    >>> bundle = QueryBundle("Who wrote it?", custom_embedding_strs=[DocumentText("It was written by ...")])
    """

    __slots__ = ()


class GeneratedDocuments(BaseQueryTransform):
    """Wraps a query transform, HyDE for example, so that the texts it generates are embedded as documents.

    HyDE writes a hypothetical *document*; given the query instruction it would land among the questions. The question
    itself, when it is among the texts, stays a query.

    >>> from llama_index.core.indices.query.query_transform import HyDEQueryTransform
    >>> transform = GeneratedDocuments(HyDEQueryTransform(include_original=True))  # doctest: +SKIP
    """

    def __init__(self, transform: BaseQueryTransform) -> None:
        self._transform = transform

    def _run(self, query_bundle: QueryBundle, metadata: dict[str, Any]) -> QueryBundle:
        bundle = self._transform.run(query_bundle, metadata)
        texts = bundle.custom_embedding_strs
        if texts is None:
            return bundle
        marked = [text if text == bundle.query_str else DocumentText(text) for text in texts]
        return QueryBundle(bundle.query_str, bundle.image_path, marked, bundle.embedding)

    def _get_prompts(self) -> PromptDictType:
        return {}

    def _update_prompts(self, prompts: PromptDictType) -> None:
        return None

    def _get_prompt_modules(self) -> PromptMixinType:
        return {"transform": self._transform}
