"""The report in a real browser: what it draws, how it filters, sorts, opens, prints, and fits a telephone."""

import shutil

import pytest

from claims.figures import showcase
from claims.report import write_report
from tests.claims.synthetic import ENVIRONMENT, many_verdicts, summary_of

VERDICTS = many_verdicts(48)
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1200,900",
)


def find(*names):
    """Return the first of the programs `names` that is installed; skip the test where none is."""
    for name in names:
        if path := shutil.which(name):
            return path
    return pytest.skip(f"{names[0]} is missing: install it to test the report in a browser")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is missing: install the extra dev")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = find("chromium", "chromium-browser", "google-chrome")
    service = Service(executable_path=find("chromedriver"))
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def figures():
    return showcase(VERDICTS)


@pytest.fixture(scope="module")
def address(tmp_path_factory, figures):
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(VERDICTS, path, figures=figures, environment=ENVIRONMENT, summary=summary_of(VERDICTS))
    return path.as_uri()


@pytest.fixture
def page(browser, address):
    """The page, freshly loaded; the console must stay free of errors."""
    browser.get("about:blank")
    browser.get_log("browser")
    browser.get(address)
    yield browser
    severe = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    assert not severe


def shown(page):
    return page.execute_script(
        "return [...document.querySelectorAll('tbody.claim')].filter(c => c.offsetHeight).map(c => c.id)"
    )


def find_css(page, selector):
    return page.find_element("css selector", selector)


def choose(page, name, value):
    find_css(page, f"#filter-{name} option[value='{value}']").click()


def narrow(page, width):
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def empty_figures(page):
    return page.execute_script(
        "return [...document.querySelectorAll('figure svg, tbody.claim.open svg')]"
        ".filter(s => s.clientWidth < 100 || s.clientHeight < 30 || !s.querySelector('path')).length"
    )


def test_every_figure_is_drawn(page, figures):
    find_css(page, "#open-all").click()
    assert page.execute_script("return document.querySelectorAll('tbody.claim.open .drawing svg').length") == len(
        VERDICTS
    )
    assert page.execute_script("return document.querySelectorAll('figure svg').length") == len(figures)
    assert empty_figures(page) == 0
    assert page.execute_script(
        "return [...document.querySelectorAll('math')].every(m => m.getBoundingClientRect().width > 5)"
    )


def test_filters_combine(page):
    assert shown(page) == [found["id"] for found in VERDICTS]
    choose(page, "verdict", "refuted")
    assert shown(page) == [found["id"] for found in VERDICTS if found["verdict"] == "refuted"]
    choose(page, "outcome", "not as expected")
    assert shown(page) == ["liang.edge.surprise"]
    assert find_css(page, "#shown").text == f"1 of {len(VERDICTS)}"
    choose(page, "kind", "identity")
    assert shown(page) == []
    assert find_css(page, "#nothing").is_displayed()
    find_css(page, "button[type=reset]").click()
    page.execute_async_script("setTimeout(arguments[0], 50)")
    assert len(shown(page)) == len(VERDICTS)


def test_search_wants_every_word(page):
    find_css(page, "#search").send_keys("CAP half-angle")
    assert shown(page) == ["liang.caps.3d.printed"]
    find_css(page, "#search").send_keys(" <b>not")  # a word of the note
    assert shown(page) == ["liang.caps.3d.printed"]
    find_css(page, "#search").send_keys(" nowhere")
    assert shown(page) == []


@pytest.mark.parametrize(("key", "field"), [("claim", "id"), ("kind", "kind"), ("measured", "measured"), ("n", "n")])
def test_sorting_by_keyboard(page, key, field):
    values = {found["id"]: found[field] for found in VERDICTS}
    header = find_css(page, f"th[data-key={key}]")
    for order, reverse in (("ascending", False), ("descending", True)):
        header.find_element("css selector", "button").send_keys("\ue007")  # Enter
        assert header.get_attribute("aria-sort") == order
        found = [values[name] for name in shown(page)]
        known = [value for value in found if value is not None]
        assert known == sorted(known, reverse=reverse)
        assert all(value is None for value in found[len(known) :])
    assert (
        page.execute_script(
            "return document.querySelectorAll('th[aria-sort=ascending], th[aria-sort=descending]').length"
        )
        == 1
    )


def test_claim_opens_and_closes(page):
    button = find_css(page, "[id='liang.edge.margins'] button.id")
    detail = find_css(page, "[id='liang.edge.margins'] .detail")
    assert not detail.is_displayed()
    button.send_keys(" ")
    assert detail.is_displayed()
    assert button.get_attribute("aria-expanded") == "true"
    assert len(detail.find_elements("css selector", ".cells tbody tr")) == 9
    button.send_keys(" ")
    assert not detail.is_displayed()


def test_link_opens_its_claim_even_when_filtered_out(page):
    choose(page, "verdict", "undecided")
    page.execute_script("location.hash = '#liang.theorem1.probability!wrong_sign'")
    page.execute_async_script("setTimeout(arguments[0], 100)")
    assert find_css(page, "[id='liang.theorem1.probability!wrong_sign'] .detail").is_displayed()


@pytest.mark.parametrize("width", [320, 400, 800, 1030, 1200])
def test_nothing_sticks_out(page, width):
    narrow(page, width)
    find_css(page, "#open-all").click()
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    assert empty_figures(page) == 0


def test_telephone_shows_cards(page):
    narrow(page, 400)
    assert (
        page.execute_script("return getComputedStyle(document.querySelector('tbody.claim > .row')).display") == "grid"
    )
    assert find_css(page, "th[data-key=claim] button").is_displayed()


def test_print_has_everything_but_the_controls(page):
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert not find_css(page, "form.controls").is_displayed()
    assert not find_css(page, "nav").is_displayed()
    parts = "[...document.querySelectorAll('.detail, figure svg, .drawing svg')]"
    hidden = f"return {parts}.filter(part => !part.getBoundingClientRect().height).length"
    assert page.execute_script(hidden) == 0
    assert (
        page.execute_script("return getComputedStyle(document.querySelector('#claims > thead th')).position")
        == "static"
    )


def test_dark_paper_has_light_ink(page):
    page.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    )
    assert page.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 28)"
    assert (
        page.execute_script("return getComputedStyle(document.querySelector('figure svg text')).fill")
        == "rgb(226, 230, 235)"
    )
