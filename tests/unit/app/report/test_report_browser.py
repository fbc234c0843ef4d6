"""The report as a browser renders it: what a person finds on the page, and what it asks for."""

from __future__ import annotations

import html
import json
import re
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from report_search import SEARCH
from synthetic_results import SyntheticResults, edit
from synthetic_run import SyntheticRun

from lifelog.report.colours import DARK, LIGHT
from lifelog.report.comparepage import write_comparison
from lifelog.report.html import write_report
from lifelog.results.comparison import compare, load_side
from lifelog.results.directory import read_results
from lifelog.results.summary import summarise
from lifelog.verification.verify import verify


@pytest.fixture(scope="module")
def chromium(program: Callable[[str], str]) -> str:
    """The browser."""
    return program("chromium")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of two sound runs."""
    results = tmp_path_factory.mktemp("results")
    runs = []
    for mode in ("saturation", "paced"):
        made = SyntheticRun(mode=mode, batches=20)
        made.spec["title"] = "A made-up experiment"
        # What would not fit on a narrow screen.
        made.spec["dataset"]["sha256"] = made.spec["model"]["sha256"] = "0" * 64
        made.consumer["spark_conf"] = {"spark.driver.extraJavaOptions": "-D" + "x" * 300}
        runs.append(verify(made.write(results)))
    write_report(results / "smoke", runs, "ansible-playbook site.yml")
    return results / "smoke" / "report.html"


CLAIM = {
    "id": "Q5", "text": "With one replica, throughput rises with the images of a message.",
    "verdict": "reproduced", "why": "both steps are shown",
    "comparisons": [
        {"what": "10 images against 1", "of": "r1-i10", "over": "r1-i1", "at_least": 1.05,
         "at_most": None, "ratio": 2.5, "ci95": [2.4, 2.6], "n": [5, 5], "holds": True,
         "why": "the interval lies above 1.05"},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of a sweep with repetitions, an invalid run, machines and a claim."""
    made = SyntheticResults(
        "fig4", "Replication and images per message (reduced)",
        {"replication": [1, 2, 3], "images_per_record": [1, 5, 10]},
        {"x": "replication", "series": "images_per_record", "panel": None},
        lambda own: 20_000 * own["images_per_record"] ** 0.4 / own["replication"],
        repetitions=2, labels=("reduced",),
    )  # fmt: skip
    directory = made.write(tmp_path_factory.mktemp("results"))
    lost = "V4: 3 images lost (producer 1 sequences 3-5)"
    edit(directory / "r2-i5-r02-a01", valid=False, invalid_reasons=[lost])
    (directory / "r3-i1-r01-a01/run.json").write_text('{"format": 1, "exp')
    found = read_results(directory)
    summary = summarise(found.runs) | {"claims": [CLAIM]}
    write_report(directory, found.runs, "", summary, found.unusable)
    return directory / "report.html"


@pytest.fixture(scope="module")
def search(page: Path) -> Path:
    """The report of two sound runs, as that of a search."""
    found = read_results(page.parent)
    summary = summarise(found.runs) | {"sustainable": SEARCH}
    directory = page.parent.with_name("search")
    shutil.copytree(page.parent, directory)
    write_report(directory, found.runs, "", summary)
    return directory / "report.html"


@pytest.fixture(scope="module")
def comparison(sweep: Path) -> Path:
    """The sweep compared with itself."""
    side = load_side(str(sweep.parent))
    write_comparison(sweep.with_name("compare.html"), compare(side, side))
    return sweep.with_name("compare.html")


def browse(chromium: str, profile: Path, url: str, *options: str, silent: bool = True) -> str:
    """Run headless Chromium on a page with an empty profile; returns what it printed.

    Fails where a page that is to be `silent` has an error, a warning or words on its console.
    """
    done = subprocess.run(
        [
            chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            "--enable-logging=stderr", f"--user-data-dir={profile}", *options, url,
        ],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    said = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    assert not silent or not said
    return done.stdout


def test_title_axes_and_figures_are_on_the_page(chromium: str, page: Path, tmp_path: Path) -> None:
    dom = browse(chromium, tmp_path, page.as_uri(), "--dump-dom")
    assert "<title>A made-up experiment - lifelog testbed</title>" in dom
    texts = [html.unescape(text).strip() for text in re.findall(r">([^<>]+)<", dom)]
    for axis in (
        "throughput (images/s)",
        "time since the agreed start (s)",
        "share of the images (%)",
        "latency (ms)",
        "time per image (µs)",
        "lag (records)",
        "time per micro-batch (ms)",
        "wall-clock time (s)",
    ):
        # Once in the wide and once in the narrow drawing.
        assert texts.count(axis) >= 2, axis
    for title in ("Throughput over time", "How late images are", "Records waiting"):
        assert title in texts
    assert dom.count("<svg") == 12
    # 400 images a second were made up, in 20 micro-batches of 400.
    rate = next(text for text in texts if re.fullmatch(r"\d{3}", text))
    assert 390 < int(rate) < 410
    assert f"{rate} images/s" in texts
    assert texts.count("8,000") >= 6
    assert "paced: median 700 ms" in texts
    assert "95.00%" in texts
    assert "ansible-playbook site.yml" in texts
    for words in ("warm-up", "counted", "drain"):
        assert words in texts


LOOK = """
onload = () => {
  const page = document.querySelector('iframe').contentDocument, root = page.documentElement;
  const shown = [...page.querySelectorAll('svg')].filter(svg => svg.clientWidth);
  const cut = [];
  for (const svg of shown) {
    const all = svg.getBoundingClientRect();
    for (const text of svg.querySelectorAll('text')) {
      const own = text.getBoundingClientRect();
      if (own.left < all.left - 1 || own.right > all.right + 1 || own.top < all.top - 1
          || own.bottom > all.bottom + 1) cut.push(text.textContent);
    }
  }
  const style = element => getComputedStyle(page.querySelector(element));
  const wide = [...page.querySelectorAll('.box, details')].map(box => box.scrollWidth);
  document.title = JSON.stringify({width: root.clientWidth, needed: root.scrollWidth,
    drawings: shown.length, cut, page: style('body').backgroundColor, ink: style('body').color,
    card: style('.box').backgroundColor, widest: Math.max(...wide)});
}
"""


def looked_at(chromium: str, directory: Path, page: Path, width: int, *options: str) -> Any:
    """What a script finds on a page that is `width` pixels wide."""
    # A frame: a headless window is at least 500 pixels wide.
    frame = directory / f"{page.stem}-{width}.html"
    opened = page.read_text("utf-8").replace("<details>", "<details open>")
    frame.write_text(
        f'<iframe width={width} height=800 style="border:0" srcdoc="{html.escape(opened)}"></iframe>'
        f"<script>{LOOK}</script>",
        encoding="utf-8",
    )
    profile = directory / f"profile-{width}"
    dom = browse(chromium, profile, frame.as_uri(), "--dump-dom", *options)
    match = re.search(r"<title>(.*?)</title>", dom)
    assert match, dom[:500]
    return json.loads(html.unescape(match[1]))


@pytest.mark.parametrize("width", [400, 1400])
@pytest.mark.parametrize(
    ("name", "drawings"), [("page", 6), ("sweep", 8), ("search", 7), ("comparison", 1)]
)
def test_nothing_is_cut_off(
    chromium: str,
    name: str,
    drawings: int,
    width: int,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    page = request.getfixturevalue(name)
    found = looked_at(chromium, tmp_path, page, width)
    assert width - 20 <= found["width"] <= width
    assert found["needed"] <= found["width"]
    assert found["drawings"] == drawings, "one drawing of each figure is shown"
    assert found["cut"] == []
    if width == 400 and name not in ("page", "search"):
        assert found["widest"] > 400, "wide tables move inside their own box"


def test_a_text_that_sticks_out_would_be_found(chromium: str, page: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.html"
    broken.write_text(page.read_text("utf-8").replace('viewBox="0 0 ', 'viewBox="40 0 '), "utf-8")
    assert looked_at(chromium, tmp_path, broken, 1400)["cut"]


def rgb(colour: str) -> str:
    """A colour as the browser tells it."""
    return "rgb({}, {}, {})".format(*(int(colour[at : at + 2], 16) for at in (1, 3, 5)))


@pytest.mark.parametrize(("scheme", "colours"), [(1, LIGHT), (0, DARK)])
def test_the_theme_is_the_readers(
    chromium: str, sweep: Path, tmp_path: Path, scheme: int, colours: dict[str, str]
) -> None:
    option = f"--blink-settings=preferredColorScheme={scheme}"
    found = looked_at(chromium, tmp_path, sweep, 1400, option)
    told = (found["page"], found["ink"], found["card"])
    assert told == tuple(rgb(colours[name]) for name in ("page", "ink", "card"))


def test_a_sweep_has_its_figure_claims_machines_and_faults(
    chromium: str, sweep: Path, tmp_path: Path
) -> None:
    dom = browse(chromium, tmp_path, sweep.as_uri(), "--dump-dom")
    texts = [html.unescape(text).strip() for text in re.findall(r">([^<>]+)<", dom)]
    for text in (
        "Throughput over replication factor", "replication factor", "throughput (images/s)",
        "images per Kafka message", "Claims, and what was measured", "✓ reproduced",
        "2.500 (2.400 to 2.600)", "What the machines did", "busy cores", "4.00 of 8",
        "network in (Mbit/s)", "disk write (MB/s)", "largest replica lag (records)",
        "produce request, mean / longest (ms)", "13 / 80", "Processor (cores in use)",
        "Memory (GiB in use)", "time since the agreed start (s)", "Invalid runs", "All runs",
        "reduced", "1 of 2", "Run it again",
        "ansible-playbook playbooks/app.yml -e experiment=fig4",
    ):  # fmt: skip
        assert any(text in own for own in texts), text
    assert "r2-i5-r02-a01: invalid." in texts
    assert "r3-i1-r01-a01 is not in these figures:" in texts
    for name in (
        "figure",
        "throughput",
        "lag",
        "micro-batch",
        "calls",
        "stages",
        "components",
        "machines",
    ):
        for kind in ("svg", "csv"):
            assert f'href="figures/{name}.{kind}"' in dom
            assert (sweep.parent / f"figures/{name}.{kind}").stat().st_size


def asked_for(chromium: str, directory: Path, page: Path) -> set[str]:
    """Addresses, files left out, that a page asks for by the browser's own network log."""
    log = directory / f"{page.stem}.json"
    options = ("--dump-dom", f"--log-net-log={log}")
    # What the policy forbids, and what cannot be had, is told on the console.
    browse(chromium, directory / page.stem, page.as_uri(), *options, silent=False)
    events = [event.get("params", {}) for event in json.loads(log.read_text("utf-8"))["events"]]
    # What the browser asks for itself has "not an origin" as its initiator.
    found = {
        params["url"]
        for params in events
        if "url" in params and params.get("initiator") not in (None, "not an origin")
    }
    return {url for url in found if not url.startswith(("file:", "data:"))}


def test_the_page_asks_for_nothing(chromium: str, page: Path, tmp_path: Path) -> None:
    text = page.read_text("utf-8")
    assert not re.search(r"https?://|//[a-z0-9-]+\.[a-z]|<script|@import|url\((?!#)", text)
    assert not asked_for(chromium, tmp_path, page)
    # The same page with a picture from a closed port: its policy forbids it, and only that does.
    foreign = "http://127.0.0.1:9/picture.png"
    guarded, open_page = tmp_path / "guarded.html", tmp_path / "open.html"
    guarded.write_text(text.replace("</main>", f'<img src="{foreign}"></main>'), "utf-8")
    open_page.write_text(re.sub(r"<meta http-equiv[^>]*>", "", guarded.read_text("utf-8")), "utf-8")
    assert not asked_for(chromium, tmp_path, guarded)
    assert asked_for(chromium, tmp_path, open_page) == {foreign}


def test_an_error_on_the_console_would_be_found(chromium: str, page: Path, tmp_path: Path) -> None:
    guarded = tmp_path / "guarded.html"
    picture = '<img src="http://127.0.0.1:9/picture.png"></main>'
    guarded.write_text(page.read_text("utf-8").replace("</main>", picture), "utf-8")
    with pytest.raises(AssertionError, match="CONSOLE"):
        browse(chromium, tmp_path / "profile", guarded.as_uri(), "--dump-dom")


def test_a_screenshot_shows_the_page(chromium: str, page: Path, tmp_path: Path) -> None:
    picture = tmp_path / "report.png"
    browse(
        chromium, tmp_path / "profile", page.as_uri(), f"--screenshot={picture}",
        "--window-size=1200,1600", "--hide-scrollbars",
    )  # fmt: skip
    content = picture.read_bytes()
    assert content.startswith(b"\x89PNG")
    assert struct.unpack(">II", content[16:24])[0] == 1200
    # An empty page of this size takes some 10 KB.
    assert len(content) > 50_000
