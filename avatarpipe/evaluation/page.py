"""A picture or a video inside a page of its own: Snakemake's report shows HTML, but only offers WebP for download."""

from base64 import b64encode
from html import escape
from pathlib import Path

from avatarpipe.files import atomic_file

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>body {{ margin: 0; background: #fff; text-align: center }} .shown {{ max-width: 100%; max-height: 100vh }}</style>
</head><body>{shown}</body></html>
"""
_PICTURE = '<img class="shown" alt="{title}" src="{data}">'
_VIDEO = '<video class="shown" title="{title}" src="{data}" autoplay loop muted playsinline controls></video>'


def save_picture_page(picture: str | Path, path: str | Path, title: str, mime: str = "image/webp") -> None:
    """Write an HTML page that holds `picture`, and needs no other file."""
    _save(_PICTURE, Path(picture), mime, Path(path), title)


def save_video_page(video: str | Path, path: str | Path, title: str) -> None:
    """Write an HTML page that plays `video` (.mp4) over and over, and needs no other file."""
    _save(_VIDEO, Path(video), "video/mp4", Path(path), title)


def _save(element: str, shown: Path, mime: str, path: Path, title: str) -> None:
    data = f"data:{mime};base64,{b64encode(shown.read_bytes()).decode()}"
    with atomic_file(path) as temporary:
        element = element.format(title=escape(title), data=data)
        temporary.write_text(_PAGE.format(title=escape(title), shown=element))
