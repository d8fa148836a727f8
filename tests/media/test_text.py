from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from searchkit.errors import DecodeError
from searchkit.media import Decoded, DecodeSettings, open_media
from searchkit.types import Modality, Span, TextSample


def texts(decoded: Decoded) -> list[str]:
    assert decoded.media_type.modality is Modality.TEXT
    samples = list(decoded.samples)
    assert all(isinstance(sample, TextSample) for sample in samples)
    return [sample.text for sample in samples if isinstance(sample, TextSample)]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]
)
def test_encodings(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("Die Bäume rauschen – leise, über dem Fluss.\r\nEnde.".encode(encoding))
    assert texts(open_media(path)) == ["Die Bäume rauschen – leise, über dem Fluss. Ende."]


def test_scripts_without_latin_letters(tmp_path: Path) -> None:
    for number, words in enumerate(
        ["雪の中の犬が吠える。", "Собака лает в снегу", "كلب ينبح في الثلج", "🐕 🌨️"]
    ):
        (tmp_path / f"{number}.txt").write_text(words, encoding="utf-8")
        assert texts(open_media(tmp_path / f"{number}.txt")) == [words]
    (tmp_path / "wide.txt").write_bytes("雪の中の犬が吠える。".encode("utf-16"))
    assert texts(open_media(tmp_path / "wide.txt")) == ["雪の中の犬が吠える。"]


def test_a_long_text_is_passages(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(
        "\n\n".join(f"Paragraph {n} tells of animal {n}. " * 4 for n in range(20)), encoding="utf-8"
    )
    found = texts(open_media(path, DecodeSettings(passage_chars=200, passage_overlap_chars=40)))
    assert len(found) == 20
    assert all(f"animal {n}." in found[n] for n in range(20))


def test_a_character_across_the_first_kilobytes_is_kept_whole(tmp_path: Path) -> None:
    for shift in range(3):
        path = tmp_path / f"{shift}.txt"
        path.write_text("x" * shift + "漢字かな " * 20_000, encoding="utf-8")
        assert "漢字かな" in texts(open_media(path))[-1]


def test_markdown_reads_as_prose(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text(
        '---\nlayout: post\n---\n# The *old* bell\n\nIt **rings** in [the tower](http://a.example/x "t").\n\n'
        "![A bronze bell](bell.jpg)\n\n- one\n- two `code`\n\n> quoted\n\n<!-- hidden -->\n",
        encoding="utf-8",
    )
    decoded = open_media(path)
    assert decoded.media_type.mime == "text/markdown"
    assert decoded.facts.title == "The *old* bell"
    (text,) = texts(decoded)
    assert text.split("\n\n")[1:3] == ["It rings in the tower.", "A bronze bell"]
    assert not any(mark in text for mark in ("layout", "http", "**", "[", "`", "> ", "hidden", "# "))


def test_html_gives_its_visible_words(tmp_path: Path) -> None:
    page = (
        "<!DOCTYPE html><html><head><title>Bells &amp; towers</title><style>p {color: red}</style></head>"
        "<body>"
        "<script>var hidden = 1;</script><h1>Bells</h1><p>They r<b>ing</b> at&nbsp;noon,<br>loudly.</p>"
        "<img src='x.jpg' alt='a tall tower'><p>Unclosed <i>paragraph</body></html>"
    )
    # The content says what it is, even without a name that does.
    for name in ("page.html", "page"):
        (tmp_path / name).write_text(page, encoding="utf-8")
        decoded = open_media(tmp_path / name)
        assert decoded.media_type.mime == "text/html"
        assert decoded.facts.title == "Bells & towers"
        (text,) = texts(decoded)
        assert text.split("\n\n") == [
            "Bells",
            "They ring at noon, loudly.",
            "a tall tower",
            "Unclosed paragraph",
        ]


SRT = """1
00:00:01,000 --> 00:00:03,500
<i>A dog</i> barks.

2
00:00:03,500 --> 00:00:06,000
Then it
sleeps.

3
00:01:00,000 --> 00:01:02,250
{\\an8}A bell rings.
"""
VTT = """WEBVTT - test

NOTE a remark

intro
00:01.000 --> 00:03.500 align:start
<v Ann>A dog</v> barks.

00:03.500 --> 00:06.000
Then it
sleeps.

01:00.000 --> 01:02.250
A bell rings.
"""


@pytest.mark.parametrize(
    ("name", "content"), [("a.srt", SRT), ("a.vtt", VTT), ("a.txt", SRT), ("b.txt", VTT)]
)
def test_subtitles_are_passages_with_times(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_bytes(content.replace("\n", "\r\n").encode())
    decoded = open_media(tmp_path / name)
    assert decoded.facts.duration_s == 62.25
    samples = [sample for sample in decoded.samples if isinstance(sample, TextSample)]
    assert [(sample.text, sample.span) for sample in samples] == [
        ("A dog barks. Then it sleeps.", Span(1, 6)),
        ("A bell rings.", Span(60, 62.25)),
    ]


def test_long_subtitles_are_cut_at_cues(tmp_path: Path) -> None:
    cues = [f"{n}\n00:00:{n:02d},000 --> 00:00:{n + 1:02d},000\nThis is line {n}.\n" for n in range(1, 50)]
    (tmp_path / "a.srt").write_text("\n".join(cues), encoding="utf-8")
    samples = list(open_media(tmp_path / "a.srt", DecodeSettings(passage_chars=120)).samples)
    assert len(samples) > 5
    for before, after in itertools.pairwise(samples):
        assert before.span is not None
        assert after.span is not None
        assert before.span.end_s == after.span.start_s


def write_pdf(path: Path, pages: list[str]) -> None:
    objects = ["<</Type/Catalog/Pages 2 0 R>>", "", "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"]
    kids = []
    for words in pages:
        stream = f"BT /F1 12 Tf 72 700 Td ({words}) Tj ET"
        objects.append(f"<</Length {len(stream)}>>stream\n{stream}\nendstream")
        kids.append(len(objects) + 1)
        objects.append(
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents {len(objects)} 0 R"
            "/Resources<</Font<</F1 3 0 R>>>>>>"
        )
    objects[1] = f"<</Type/Pages/Count {len(kids)}/Kids[{' '.join(f'{kid} 0 R' for kid in kids)}]>>"
    body, places = "%PDF-1.4\n", []
    for number, text in enumerate(objects, 1):
        places.append(len(body))
        body += f"{number} 0 obj\n{text}\nendobj\n"
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    count = len(objects) + 1
    end = f"xref\n0 {count}\n0000000000 65535 f \n{table}trailer\n<</Size {count}/Root 1 0 R>>\n"
    path.write_bytes(f"{body}{end}startxref\n{len(body)}\n%%EOF\n".encode())


def test_pdf_pages_are_read(tmp_path: Path) -> None:
    pytest.importorskip("pypdf")
    write_pdf(tmp_path / "a.pdf", ["A dog in the snow", "A church bell"])
    decoded = open_media(tmp_path / "a.pdf")
    assert decoded.media_type.mime == "application/pdf"
    assert texts(decoded) == ["A dog in the snow\n\nA church bell"]
    broken = tmp_path / "broken.pdf"
    broken.write_bytes((tmp_path / "a.pdf").read_bytes()[:100])
    with pytest.raises(DecodeError, match="PDF document is damaged"):
        list(open_media(broken).samples)


def test_limits_are_kept(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("words " * 1000, encoding="utf-8")
    with pytest.raises(DecodeError, match=r"6\.0 kB, more than the limit of 1\.0 kB") as caught:
        open_media(tmp_path / "a.txt", DecodeSettings(max_text_bytes=1000))
    assert "max_text_bytes" in caught.value.hint


def test_a_page_without_words_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("<html><body><script>1</script></body></html>", encoding="utf-8")
    with pytest.raises(DecodeError, match="it holds no text"):
        list(open_media(tmp_path / "a.html").samples)
