"""A picture inside a page of its own: Snakemake's report shows HTML, but only offers WebP for download."""

from base64 import b64encode
from html import escape
from pathlib import Path

from avatarpipe.files import atomic_file

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>body {{ margin: 0; background: #fff; text-align: center }} img {{ max-width: 100%; max-height: 100vh }}</style>
</head><body><img alt="{title}" src="data:{mime};base64,{data}"></body></html>
"""


def save_picture_page(picture: str | Path, path: str | Path, title: str, mime: str = "image/webp") -> None:
    """Write an HTML page that holds `picture`, and needs no other file."""
    data = b64encode(Path(picture).read_bytes()).decode()
    with atomic_file(path) as temporary:
        temporary.write_text(_PAGE.format(title=escape(title), mime=mime, data=data))
