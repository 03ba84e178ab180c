"""A picture in a page of its own."""

import re
from base64 import b64decode

from avatarpipe.evaluation.page import save_picture_page


def test_a_page_holds_the_bytes_of_its_picture_and_escapes_its_title(tmp_path):
    picture = bytes(range(256))
    (tmp_path / "a.webp").write_bytes(picture)
    save_picture_page(tmp_path / "a.webp", tmp_path / "a.html", title="<b>a & b</b>")
    page = (tmp_path / "a.html").read_text()
    (data,) = re.findall(r'src="data:image/webp;base64,([^"]+)"', page)
    assert b64decode(data) == picture
    assert "<title>&lt;b&gt;a &amp; b&lt;/b&gt;</title>" in page
