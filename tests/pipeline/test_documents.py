"""Files of other kinds, made here byte by byte, down to their passages."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.readers.base import BaseReader
from llama_index.core.schema import Document, TextNode
from qwen3_rag.documents.chunking import PassageParser
from qwen3_rag.documents.decoding import UnreadableError
from qwen3_rag.documents.formats import FORMATS, format_of
from qwen3_rag.documents.optional import MissingReaderError
from qwen3_rag.documents.read_code import CodeReader
from qwen3_rag.documents.read_html import HtmlReader
from qwen3_rag.documents.read_notebook import NotebookReader
from qwen3_rag.documents.read_office import OfficeReader
from qwen3_rag.documents.read_pdf import PdfReader


def load(reader: BaseReader, file: Path, **extra: Any) -> list[Document]:
    return list(reader.lazy_load_data(file, source=file.name, **extra))


def passages(documents: list[Document]) -> list[TextNode]:
    return PassageParser().get_nodes_from_documents(documents)  # type: ignore[return-value]


def make_pdf(file: Path, *pages: list[tuple[int, str]]) -> Path:
    """A PDF whose pages hold lines of (font size, text)."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", "", "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for lines in pages:
        shown, height = [], 740
        for size, text in lines:
            shown.append(f"BT /F1 {size} Tf 72 {height} Td ({text}) Tj ET")
            height -= 2 * size
        stream = "\n".join(shown)
        number = len(objects) + 1
        kids.append(f"{number} 0 R")
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {number + 1} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>"
        )
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>"
    raw, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(raw))
        raw += f"{number} 0 obj\n{body}\nendobj\n".encode()
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    raw_end = (
        f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\n"
    )
    file.write_bytes(raw + raw_end.encode() + f"startxref\n{len(raw)}\n%%EOF\n".encode())
    return file


def make_zip(file: Path, parts: dict[str, str]) -> Path:
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file


RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def make_docx(file: Path) -> Path:
    w = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    cell = "<w:tc><w:p><w:r><w:t>{}</w:t></w:r></w:p></w:tc>"
    rows = "".join(f"<w:tr>{cell.format(a)}{cell.format(b)}</w:tr>" for a, b in [("key", "value"), ("port", "19530")])
    heading = '<w:p><w:pPr><w:pStyle w:val="Heading{0}"/></w:pPr><w:r><w:t>{1}</w:t></w:r></w:p>'
    body = (
        heading.format(1, "Manual") + "<w:p><w:r><w:t>Press the red button.</w:t></w:r></w:p>"
        + heading.format(2, "Ports") + f"<w:tbl>{rows}</w:tbl>"
    )  # fmt: skip
    styles = "".join(
        f'<w:style w:type="paragraph" w:styleId="Heading{n}"><w:name w:val="heading {n}"/>'
        f'<w:pPr><w:outlineLvl w:val="{n - 1}"/></w:pPr></w:style>'
        for n in (1, 2)
    )
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml"
    return make_zip(file, {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/word/document.xml" ContentType="{kind}.document.main+xml"/>'
        f'<Override PartName="/word/styles.xml" ContentType="{kind}.styles+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{RELATIONS}"><Relationship Id="r1" Type="{OFFICE}/officeDocument" '
        'Target="word/document.xml"/></Relationships>',
        "word/_rels/document.xml.rels": f'<Relationships xmlns="{RELATIONS}"><Relationship Id="r1" '
        f'Type="{OFFICE}/styles" Target="styles.xml"/></Relationships>',
        "word/document.xml": f'<w:document xmlns:w="{w}"><w:body>{body}</w:body></w:document>',
        "word/styles.xml": f'<w:styles xmlns:w="{w}">{styles}</w:styles>',
    })  # fmt: skip


def make_epub(file: Path) -> Path:
    chapter = (
        "<html xmlns='http://www.w3.org/1999/xhtml'><body><h1>Chapter {0}</h1><p>Otter {0} swims.</p></body></html>"
    )
    return make_zip(file, {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": '<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">'
        '<rootfiles><rootfile full-path="b.opf" media-type="application/oebps-package+xml"/></rootfiles></container>',
        "b.opf": '<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata '
        'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Book</dc:title></metadata><manifest>'
        '<item id="c1" href="1.xhtml" media-type="application/xhtml+xml"/>'
        '<item id="c2" href="2.xhtml" media-type="application/xhtml+xml"/></manifest>'
        '<spine><itemref idref="c1"/><itemref idref="c2"/></spine></package>',
        "1.xhtml": chapter.format(1),
        "2.xhtml": chapter.format(2),
    })  # fmt: skip


def test_a_pdf_is_read_page_by_page(tmp_path: Path) -> None:
    file = make_pdf(
        tmp_path / "a.pdf",
        [(24, "Manual"), (12, "Press the red button.")],
        [(12, "Otters swim.")],
        [(12, "Badgers dig.")],
    )
    documents = load(PdfReader(), file)
    assert [(document.id_, document.metadata["page"]) for document in documents] == [
        ("a.pdf", 1),
        ("a.pdf", 2),
        ("a.pdf", 3),
    ]
    assert [word in one.text for one, word in zip(documents, ("red button", "Otters", "Badgers"), strict=True)] == [
        True
    ] * 3
    assert [node.metadata["page"] for node in passages(documents)] == [1, 2, 3]


def test_pages_without_text_are_reported(tmp_path: Path) -> None:
    told: list[tuple[str, str]] = []
    mixed = make_pdf(tmp_path / "mixed.pdf", [(12, "Otters swim.")], [], [])
    documents = load(PdfReader(), mixed, skip=lambda source, reason: told.append((source, reason)))
    assert [document.metadata["page"] for document in documents] == [1]
    assert told == [("mixed.pdf#page=2", "no text layer on page 2, 3 (2 of 3)")]
    with pytest.raises(UnreadableError, match="no text layer"):
        load(PdfReader(), make_pdf(tmp_path / "scan.pdf", [], []))


def test_a_word_file_keeps_headings_and_tables(tmp_path: Path) -> None:
    found = passages(load(OfficeReader(), make_docx(tmp_path / "a.docx")))
    assert [node.metadata["header_path"] for node in found] == ["Manual", "Manual > Ports"]
    assert "Press the red button." in found[0].text
    assert [
        [cell.strip() for cell in line.strip("|").split("|")] for line in found[1].text.splitlines() if "19530" in line
    ] == [["port", "19530"]]


def test_a_book_keeps_its_chapters(tmp_path: Path) -> None:
    found = passages(load(OfficeReader(), make_epub(tmp_path / "a.epub")))
    assert [node.metadata["header_path"].split(" > ")[-1] for node in found if "swims" in node.text] == [
        "Chapter 1",
        "Chapter 2",
    ]


PAGE = """<html><head><title>Tea &amp; more</title><style>a {}</style><script>track("x")</script></head><body>
<h1>Tea</h1><p>Grün.</p><pre><code class="language-sh"># no heading
brew</code></pre><h2>Table</h2><table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table></body></html>"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1"])
def test_a_page_keeps_headings_code_and_tables(tmp_path: Path, encoding: str) -> None:
    meta = '<meta charset="iso-8859-1">' if encoding == "latin-1" else ""
    (tmp_path / "a.html").write_bytes(PAGE.replace("<head>", "<head>" + meta).encode(encoding))
    (document,) = load(HtmlReader(), tmp_path / "a.html")
    assert document.metadata["title"] == "Tea & more"
    found = passages([document])
    assert [node.metadata["header_path"] for node in found] == ["Tea", "Tea > Table"]
    assert "Grün." in found[0].text
    assert "# no heading\nbrew" in found[0].text
    assert "| 1 | 2 |" in found[1].text
    assert "track" not in document.text


def test_a_notebook_keeps_text_and_code(tmp_path: Path) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Title\\n", "Text."]},
        {"cell_type": "code", "source": "# comment\\nx = '''```'''", "outputs": [{"text": "noise"}]},
        {"cell_type": "code", "source": []},
        {"cell_type": "raw", "source": "raw"},
    ]
    notebook = {"cells": cells, "metadata": {"language_info": {"name": "python"}}, "nbformat": 4}
    (tmp_path / "a.ipynb").write_text(json.dumps(notebook).replace("\\\\n", "\\n"))
    (document,) = load(NotebookReader(), tmp_path / "a.ipynb")
    assert document.text == "# Title\nText.\n\n````python\n# comment\nx = '''```'''\n````\n\nraw"
    assert [node.metadata["header_path"] for node in passages([document])] == ["Title"]


def test_source_code_is_one_fence(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("# comment\nx = 1\n" * 2_000)
    found = passages(load(CodeReader(), tmp_path / "a.py"))
    assert {node.metadata["header_path"] for node in found} == {"a.py"}
    assert len(found) > 1
    assert all("```python\n" in node.text and node.text.endswith("\n```") for node in found)
    assert sum(node.text.count("x = 1") for node in found) == 2_000


READERS = {
    "a.pdf": PdfReader(), "a.docx": OfficeReader(), "a.xlsx": OfficeReader(), "a.epub": OfficeReader(),
    "a.html": HtmlReader(), "a.ipynb": NotebookReader(), "a.py": CodeReader(),
}  # fmt: skip
BAD = {"empty": b"", "blank": b" \n", "noise": b"\x89\xff\0" * 100, "cut zip": b"PK\x03\x04\x14\0"}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("kind", BAD)
def test_a_broken_file_has_a_reason(tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / name).write_bytes(BAD[kind])
    with pytest.raises(UnreadableError) as caught:
        load(READERS[name], tmp_path / name)
    assert str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"cells": 3}', '{"cells": ["x"]}', "[" * 100_000])
def test_json_that_is_no_notebook_has_a_reason(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.ipynb").write_text(text)
    with pytest.raises(UnreadableError):
        load(NotebookReader(), tmp_path / "a.ipynb")


@pytest.mark.parametrize(
    ("name", "module"), [("a.pdf", "liteparse"), ("a.docx", "anydoc"), ("a.html", "html_to_markdown")]
)
def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, module: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / name).write_bytes(b"%PDF-1.4")
    with pytest.raises(MissingReaderError, match=r"pip install 'llama-index-qwen3\[documents\]'"):
        load(READERS[name], tmp_path / name)


@pytest.mark.parametrize("suffix", [".qmd", ".Rmd"])
def test_quarto_and_r_markdown_are_markdown(suffix: str) -> None:
    file = Path(f"report{suffix}")
    file.write_text("---\ntitle: Rain\noutput: html_document\n---\n# Method\n\n```{r, echo=FALSE}\nplot(rain)\n```\n")
    kind = format_of(file)
    assert kind == "markdown"
    [passage] = passages(load(FORMATS[kind].reader, file))
    assert passage.get_content() == "# Method\n\n```{r, echo=FALSE}\nplot(rain)\n```"
    assert (passage.metadata["title"], passage.metadata["header_path"]) == ("Rain", "Method")
