"""Documents as programs write them: by python-docx, python-pptx, openpyxl and ReportLab, and byte by byte."""

from __future__ import annotations

import datetime
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import docx
import openpyxl
import pptx
from docx.enum.text import WD_BREAK
from pptx.util import Inches
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate, Table

ROWS = [("service", "port"), *((f"worker {number}", str(9000 + number)) for number in range(200))]


def manual_pdf(path: Path) -> None:
    """Headings of two sizes, prose over three pages, a ruled table."""
    styles = getSampleStyleSheet()
    lattice = [("GRID", (0, 0), (-1, -1), 0.5, colors.black)]
    story = [
        Paragraph("Pump manual", styles["Title"]),
        Paragraph(
            "The pump moves water from the well to the tank, and it runs at night when power is cheap.",
            styles["BodyText"],
        ),
        Paragraph("Installation", styles["Heading1"]),
        Paragraph("Unpack the pump and connect the grey hose before the power is switched on.", styles["BodyText"]),
        PageBreak(),
        Paragraph("Then open the valve slowly, for the seals are new and need a minute to settle.", styles["BodyText"]),
        PageBreak(),
        Paragraph("Ports", styles["Heading1"]),
        Paragraph(
            "Each service listens at a port of its own, which the firewall has to let through.", styles["BodyText"]
        ),
        Table([["service", "port"], ["pump", "4711"], ["valve", "4712"]], style=lattice),
    ]
    SimpleDocTemplate(str(path), pagesize=A4).build(story)


def letter_pdf(path: Path) -> None:
    """No heading at all."""
    canvas = Canvas(str(path), pagesize=A4)
    for height, line in ((780, "Dear Ms Otter,"), (750, "your order of 12 valves leaves our store on Monday.")):
        canvas.drawString(72, height, line)
    canvas.save()


def half_scanned_pdf(path: Path) -> None:
    """A page with text, and one that is a picture."""
    canvas = Canvas(str(path), pagesize=A4)
    canvas.drawString(72, 780, "The first page has a text layer.")
    canvas.showPage()
    canvas.rect(100, 100, 200, 200, fill=1)
    canvas.showPage()
    canvas.save()


def scanned_pdf(path: Path) -> None:
    canvas = Canvas(str(path), pagesize=A4)
    canvas.rect(100, 100, 200, 200, fill=1)
    canvas.save()


def encrypted_pdf(path: Path) -> None:
    canvas = Canvas(str(path), pagesize=A4, encrypt=StandardEncryption("secret", canPrint=0))
    canvas.drawString(72, 780, "Nobody reads this.")
    canvas.save()


def manual_docx(path: Path) -> None:
    """Heading styles, a numbered list, a table over several passages, a page break."""
    made = docx.Document()
    made.add_heading("Operations", 1)
    made.add_paragraph("How the plant is run.")
    made.add_heading("Start", 2)
    for step in ("Unpack", "Connect", "Switch on"):
        made.add_paragraph(step, style="List Number")
    made.add_heading("Ports", 2)
    table = made.add_table(0, 2)
    for row in ROWS:
        for cell, value in zip(table.add_row().cells, row, strict=True):
            cell.text = value
    made.add_paragraph().add_run().add_break(WD_BREAK.PAGE)
    made.add_heading("Faults", 1)
    made.add_paragraph("Call ").add_run("the hotline").bold = True
    made.save(str(path))


def minutes_docx(path: Path) -> None:
    """A title, no headings, a table in a table."""
    made = docx.Document()
    made.add_heading("Minutes of May", 0)
    made.add_paragraph("The board met in Lyon.")
    outer = made.add_table(1, 2).rows[0].cells
    outer[0].text = "present"
    outer[1].add_table(1, 1).rows[0].cells[0].text = "Ms Otter"
    made.save(str(path))


def deck_pptx(path: Path) -> None:
    """Titles, bullets, notes, a table, a text box in a group."""
    made = pptx.Presentation()
    first = made.slides.add_slide(made.slide_layouts[0])
    first.shapes.title.text, first.placeholders[1].text = "Quarterly review", "Pumps and valves"
    second = made.slides.add_slide(made.slide_layouts[1])
    second.shapes.title.text, second.placeholders[1].text = "Sales", "Up by 12 %"
    second.notes_slide.notes_text_frame.text = "Mention Lyon."
    third = made.slides.add_slide(made.slide_layouts[5])
    third.shapes.title.text = "Regions"
    table = third.shapes.add_table(2, 2, Inches(1), Inches(2), Inches(4), Inches(1)).table
    for row, values in enumerate((("region", "units"), ("north", "310"))):
        for column, value in enumerate(values):
            table.cell(row, column).text = value
    third.shapes.add_group_shape().shapes.add_textbox(
        0, 0, Inches(2), Inches(1)
    ).text_frame.text = "Preliminary figures"
    made.save(str(path))


def prices_xlsx(path: Path) -> None:
    """Two sheets, dates and numbers, more rows than a passage holds."""
    made = openpyxl.Workbook()
    made.active.title = "Ports"
    for row in ROWS:
        made.active.append(row)
    dates = made.create_sheet("Deliveries")
    dates.append(["when", "tons"])
    dates.append([datetime.date(2024, 1, 31), 1.5])
    made.save(path)


def book_epub(path: Path) -> None:
    page = "<html xmlns='http://www.w3.org/1999/xhtml'><body>{}</body></html>"
    package = dedent("""\
        <package xmlns="http://www.idpf.org/2007/opf" version="3.0">
        <metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>The river</dc:title></metadata>
        <manifest><item id="a" href="a.xhtml" media-type="application/xhtml+xml"/>
        <item id="b" href="b.xhtml" media-type="application/xhtml+xml"/></manifest>
        <spine><itemref idref="b"/><itemref idref="a"/></spine></package>""")
    container = (
        '<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile '
        'full-path="b.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
    )
    with zipfile.ZipFile(path, "w") as book:
        book.writestr("mimetype", "application/epub+zip")
        book.writestr("META-INF/container.xml", container)
        book.writestr("b.opf", package)
        book.writestr("b.xhtml", page.format("<h1>Spring</h1><p>The ice breaks.</p><h2>Otters</h2><p>They swim.</p>"))
        book.writestr(
            "a.xhtml", page.format("<h1>Summer</h1><table><tr><th>day</th></tr><tr><td>hot</td></tr></table>")
        )


def letter_rtf(path: Path) -> None:
    path.write_bytes(rb"{\rtf1\ansi{\b Dear Ms Otter,}\par your caf\'e9 order leaves on Monday.\par}")


def notebook_of_format_3(path: Path) -> None:
    cells = [
        {"cell_type": "heading", "level": 2, "source": ["Old notebook"]},
        {"cell_type": "code", "input": "# not a heading\nprint(1)", "outputs": [{"text": "SECRET OUTPUT"}]},
    ]
    path.write_text(json.dumps({"nbformat": 3, "metadata": {}, "worksheets": [{"cells": cells}]}))


WRITERS: dict[str, Callable[[Path], None]] = {
    "manual.pdf": manual_pdf,
    "letter.pdf": letter_pdf,
    "half.pdf": half_scanned_pdf,
    "manual.docx": manual_docx,
    "minutes.docx": minutes_docx,
    "deck.pptx": deck_pptx,
    "prices.xlsx": prices_xlsx,
    "book.epub": book_epub,
    "letter.rtf": letter_rtf,
    "old.ipynb": notebook_of_format_3,
}
