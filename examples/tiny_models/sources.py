"""Where the training text comes from: Debian packages and package descriptions, with languages and licences.

Nothing here overlaps the evaluation collections (Milvus FAQ, Cranfield) or the demo knowledge base.
"""

from __future__ import annotations

from dataclasses import dataclass

LANGUAGES = ("en", "es", "fr", "de", "it", "pt", "ja", "zh", "ko", "pl", "ru")

# Debian's description translations (aptitude lists), keyed by our language codes; later names win.
DESCRIPTION_LISTS = {
    "en": ("en",),
    "de": ("de",),
    "fr": ("fr",),
    "es": ("es",),
    "it": ("it",),
    "ja": ("ja",),
    "ko": ("ko",),
    "pl": ("pl",),
    "ru": ("ru",),
    "pt": ("pt", "pt%5fBR"),
    "zh": ("zh", "zh%5fTW", "zh%5fCN"),
}

# Directory spellings of one language, most specific first.
LOCALE_NAMES = {
    "en": ("en-US", "en", "C"),
    "es": ("es", "es-ES"),
    "fr": ("fr", "fr-FR"),
    "de": ("de", "de-DE"),
    "it": ("it", "it-IT"),
    "pt": ("pt-BR", "pt_BR", "pt"),
    "ja": ("ja", "ja-JP"),
    "zh": ("zh-CN", "zh_CN", "zh-cn"),
    "ko": ("ko", "ko-KR"),
    "pl": ("pl", "pl-PL"),
    "ru": ("ru", "ru-RU"),
}


@dataclass(frozen=True)
class Source:
    """One family of Debian packages that is read by one extractor."""

    name: str
    packages: tuple[str, ...]
    licence: str


def _each(pattern: str, names: str) -> tuple[str, ...]:
    return tuple(pattern.format(name) for name in names.split())


SOURCES = (
    Source("wordnet", ("wordnet-base",), "WordNet 3.0 licence (BSD-like)"),
    Source("foldoc", ("dict-foldoc",), "GFDL-1.2+"),
    Source("gcide", ("dict-gcide",), "GPL-2+"),
    Source("jargon", ("dict-jargon",), "public domain"),
    Source("vera", ("dict-vera",), "GFDL-1.3+"),
    Source(
        "freedict",
        _each("dict-freedict-eng-{}", "spa fra ita jpn pol por rus deu")
        + _each("dict-freedict-{}-eng", "spa fra ita jpn pol por deu"),
        "GPL-2+ (FreeDict; some dictionaries CC-BY-SA)",
    ),
    Source(
        "libreoffice-help",
        _each("libreoffice-help-{}", "en-us de es fr it pt pt-br ja zh-cn ko pl ru"),
        "MPL-2.0",
    ),
    Source("gnome-help", ("gnome-user-docs",), "CC-BY-SA-3.0"),
    Source(
        "catalogues",
        _each("{}", "phpmyadmin git postgresql-15 zabbix-frontend-php libc-l10n iso-codes gettext"),
        "GPL-2+ (phpMyAdmin, Git, Zabbix, gettext), PostgreSQL licence, LGPL-2.1+ (libc, iso-codes)",
    ),
    Source("debian-handbook", ("debian-handbook",), "GPL-2+ or CC-BY-SA-3.0"),
    Source("installation-guide", ("installation-guide-amd64",), "GPL-2"),
    Source("debian-reference", _each("debian-reference-{}", "en de es fr it ja pt zh-cn"), "GPL-2+"),
    Source(
        "developers-reference",
        ("developers-reference", *_each("developers-reference-{}", "de fr it ja ru")),
        "GPL-2+",
    ),
    Source("debian-faq", ("debian-faq", *_each("debian-faq-{}", "de fr it ja ko pt ru zh-cn")), "GPL-2+"),
    Source("postgresql-doc", ("postgresql-doc-15",), "PostgreSQL licence"),
    Source("sqlite-doc", ("sqlite3-doc",), "public domain"),
    Source("octave-doc", ("octave-doc",), "GPL-3+"),
    Source(
        "manpages",
        ("manpages", "manpages-dev", *_each("manpages-{}", "de es fr it ja pl pt-br ru zh")),
        "GPL-2+, BSD and the Linux man-pages copyleft licence",
    ),
)

# Manuals that lists.py makes collections of; the embedder is not trained on them. Package: folder below usr/share.
MANUAL_PACKAGES = _each(
    "{}",
    "exim4-doc-html grass-doc python-sklearn-doc python-celery-doc python-django-doc python-pandas-doc"
    " python-sqlalchemy-doc python-statsmodels-doc python3.11-doc debian-policy git-doc zsh-doc gimp-help-en perl-doc",
)
MANUALS = {
    "exim": "doc/exim4-doc-html",
    "grass": "doc/grass-doc",
    "sklearn": "doc/python-sklearn-doc",
    "celery": "doc/python-celery-doc",
    "django": "doc/python-django-doc",
    "pandas": "doc/python-pandas-doc",
    "sqlalchemy": "doc/python-sqlalchemy-doc",
    "statsmodels": "doc/python-statsmodels-doc",
    "python": "doc/python3.11",
    "policy": "doc/debian-policy",
    "git": "doc/git-doc",
    "zsh": "doc/zsh-doc",
    "gimp": "gimp/2.0/help/en",
}

QUESTION_FORMS = {
    "en": (
        "What is {}?",
        "How do I use {}?",
        "how does {} work",
        "Can I use {}?",
        "Why is {} needed?",
        "Where can I find {}?",
        "What does {} mean?",
        "Is there a way to do this: {}?",
        "explain {}",
        "tell me about {}",
        "Which one is {}?",
        "Does it support {}?",
        "What should I do about {}?",
        "how to {}",
    ),
    "es": (
        "¿Qué es {}?",
        "¿Cómo se usa {}?",
        "¿Se puede usar {}?",
        "¿Por qué {}?",
        "¿Dónde está {}?",
        "¿Cuál es {}?",
        "¿Qué hacer con {}?",
        "cómo funciona {}",
    ),
    "fr": (
        "Qu'est-ce que {} ?",
        "Comment utiliser {} ?",
        "Peut-on utiliser {} ?",
        "Pourquoi {} ?",
        "Où se trouve {} ?",
        "Quel est {} ?",
        "Que faire avec {} ?",
        "comment fonctionne {}",
    ),
    "de": (
        "Was ist {}?",
        "Wie verwendet man {}?",
        "Kann ich {} verwenden?",
        "Warum {}?",
        "Wo finde ich {}?",
        "Welche {} gibt es?",
        "Was bedeutet {}?",
        "wie funktioniert {}",
    ),
    "it": (
        "Che cos'è {}?",
        "Come si usa {}?",
        "Posso usare {}?",
        "Perché {}?",
        "Dove si trova {}?",
        "Qual è {}?",
        "Cosa significa {}?",
        "come funziona {}",
    ),
    "pt": (
        "O que é {}?",
        "Como usar {}?",
        "Posso usar {}?",
        "Por que {}?",
        "Onde fica {}?",
        "Qual é {}?",
        "O que significa {}?",
        "como funciona {}",
    ),
    "ja": (
        "{}とは何ですか？",
        "{}の使い方は？",
        "{}は使えますか？",
        "なぜ{}なのですか？",
        "{}はどこにありますか？",
        "{}を教えてください",
        "{}するにはどうすればよいですか？",
    ),
    "zh": ("什么是{}？", "如何使用{}？", "可以使用{}吗？", "为什么{}？", "{}在哪里？", "{}是什么意思？", "{}怎么办？"),
    "ko": (
        "{}란 무엇입니까?",
        "{}을 어떻게 사용합니까?",
        "{}을 사용할 수 있나요?",
        "왜 {}인가요?",
        "{}은 어디에 있나요?",
        "{}은 무엇을 의미하나요?",
    ),
    "pl": (
        "Co to jest {}?",
        "Jak używać {}?",
        "Czy można użyć {}?",
        "Dlaczego {}?",
        "Gdzie jest {}?",
        "Jaki jest {}?",
        "Co oznacza {}?",
        "jak działa {}",
    ),
    "ru": (
        "Что такое {}?",
        "Как использовать {}?",
        "Можно ли использовать {}?",
        "Почему {}?",
        "Где находится {}?",
        "Какой {}?",
        "Что означает {}?",
        "как работает {}",
    ),
}
