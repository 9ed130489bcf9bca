# The one list of the public names. `__init__.py` reads it at run time, type checkers read it as it is.
from qwen3_rag.agents.retrieval import make_ask_tool as make_ask_tool
from qwen3_rag.agents.retrieval import make_search_tool as make_search_tool
from qwen3_rag.agents.tools import make_tools as make_tools
from qwen3_rag.config import RagConfig as RagConfig
from qwen3_rag.documents.chunking import PassageParser as PassageParser
from qwen3_rag.documents.readers import make_document as make_document
from qwen3_rag.errors import ConfigError as ConfigError
from qwen3_rag.errors import MissingExtraError as MissingExtraError
from qwen3_rag.errors import RagError as RagError
from qwen3_rag.errors import UnavailableError as UnavailableError
from qwen3_rag.identity import ModelIdentity as ModelIdentity
from qwen3_rag.ingestion.pipeline import ingest as ingest
from qwen3_rag.ingestion.pipeline import ingest_documents as ingest_documents
from qwen3_rag.ingestion.report import IngestReport as IngestReport
from qwen3_rag.models import Models as Models
from qwen3_rag.models import load_models as load_models
from qwen3_rag.query.answer import CitedSynthesizer as CitedSynthesizer
from qwen3_rag.query.engine import make_index as make_index
from qwen3_rag.query.engine import make_query_engine as make_query_engine
from qwen3_rag.query.engine import make_retriever as make_retriever
from qwen3_rag.query.filters import parse_filters as parse_filters
from qwen3_rag.query.llm import make_llm as make_llm
from qwen3_rag.query.rows import AnswerResult as AnswerResult
from qwen3_rag.query.rows import NoAnswerError as NoAnswerError
from qwen3_rag.query.rows import SearchResult as SearchResult
from qwen3_rag.query.stages import search as search
from qwen3_rag.session import Session as Session
from qwen3_rag.store.opening import open_store as open_store
from qwen3_rag.store.vector_store import RagVectorStore as RagVectorStore

__all__: list[str]
