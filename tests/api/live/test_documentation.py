import re

from tests import ROOT


def test_the_documented_live_query_is_the_one_that_is_run() -> None:
    """The code on the page is exactly the file that is compiled and run."""
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    example = (ROOT / "tests" / "typescript" / "follow.ts").read_text(encoding="utf-8")
    assert re.findall(r"^```ts\n(.*?)^```$", page, re.MULTILINE | re.DOTALL) == [example]
