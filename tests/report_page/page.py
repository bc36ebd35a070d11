#!/usr/bin/env python3
"""Opens report pages in headless Chromium and fails on what a reader would stumble over.

Usage: page.py CHROMIUM SCREENSHOTS PAGE.html...

Each page is opened at 400 and at 1600 pixels, light and dark, without a network. It must ask for no
other file and say nothing on the console; nothing may stick out of it to the side; labels of a picture
must lie in the page and cover no other, nor a line; a table that scrolls must show that it does, and
a number at once; no flag may be broken over lines; every picture needs its table; text must stand out from what is
behind it; no script and no event handler may be in it; and it must print with all of its numbers.
"""

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

CHROMIUM, SHOTS, *PAGES = sys.argv[1:]

FAULTS = r"""
() => {
  const faults = [];
  const wide = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > wide)
    faults.push(`the page is ${document.documentElement.scrollWidth} wide in a window of ${wide}`);
  const name = (e) => `<${e.tagName.toLowerCase()} class="${e.getAttribute('class') ?? ''}"> ` +
    JSON.stringify((e.textContent ?? '').slice(0, 40));
  for (const e of document.querySelectorAll('body *')) {
    const box_of_its_own = e.parentElement.closest('.scroll, pre');
    if (box_of_its_own) continue;
    const box = e.getBoundingClientRect();
    if (box.width > 0 && (box.left < -0.5 || box.right > wide + 0.5))
      faults.push(`${name(e)} reaches from ${box.left.toFixed(1)} to ${box.right.toFixed(1)} of ${wide}`);
    for (const { name: key } of e.attributes)
      if (key.startsWith('on')) faults.push(`${name(e)} has ${key}`);
  }
  for (const tag of ['script', 'iframe', 'object', 'embed', 'img', 'form', 'base', 'link:not([rel=icon])'])
    for (const e of document.querySelectorAll(tag)) faults.push(`there is ${name(e)}`);
  for (const svg of document.querySelectorAll('.plot > svg, .map > svg')) {
    for (const label of svg.querySelectorAll('text.name')) {
      const { left, right, top, bottom } = label.getBoundingClientRect();
      // On a narrow page there may be no place that is free of all.
      for (const line of wide > 640 ? svg.querySelectorAll('path.line') : []) {
        const matrix = line.getScreenCTM();
        const length = line.getTotalLength();
        for (let i = 0; i <= 500; i++) {
          const { x, y } = line.getPointAtLength(length * i / 500).matrixTransform(matrix);
          if (x > left && x < right && y > top + 4 && y < bottom - 3) {
            faults.push(`a line runs through ${name(label)}`);
            break;
          }
        }
      }
    }
    const texts = [...svg.querySelectorAll('text')].filter((t) => t.getBoundingClientRect().width > 0);
    const boxes = texts.map((t) => t.getBoundingClientRect());
    for (let i = 0; i < texts.length; i++)
      for (let j = 0; j < i; j++) {
        const [a, b] = [boxes[i], boxes[j]];
        const [w, h] = [Math.min(a.right, b.right) - Math.max(a.left, b.left),
                        Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top)];
        // Boxes of letters have some room above and below.
        if (w > 1 && h > 4) faults.push(`${name(texts[i])} covers ${name(texts[j])}`);
      }
    for (const m of svg.querySelectorAll('circle, rect, path')) {
      const box = m.getBBox();
      if (![box.x, box.y, box.width, box.height].every(Number.isFinite)) faults.push(`${name(m)} has no place`);
    }
    if (!svg.getAttribute('aria-label')) faults.push('a picture has no name');
  }
  for (const figure of document.querySelectorAll('figure'))
    if (!figure.querySelector('details td')) faults.push(`${name(figure)} has no table`);
  for (const box of document.querySelectorAll('.scroll')) {
    const rows = [...box.querySelectorAll('tr')].filter((row) => row.checkVisibility());
    if (!rows.length || box.scrollWidth <= box.clientWidth) continue;
    if (!getComputedStyle(box).backgroundImage.includes('gradient')) faults.push(`${name(box)} shows no sign of more`);
    // The row's name stays, and a number beside it is seen without scrolling.
    const [first, ...others] = rows[0].children;
    const edge = box.getBoundingClientRect().right + 0.5;
    if (wide < 640 && getComputedStyle(first).position !== 'sticky') faults.push(`${name(first)} is scrolled away`);
    if (others.some((cell) => cell.className === 'n') &&
        !others.some((cell) => cell.className === 'n' && cell.getBoundingClientRect().right <= edge))
      faults.push(`${name(box)} shows no number`);
  }
  for (const cell of document.querySelectorAll('#glance th, #sizes th'))
    if (cell.textContent === 'KLD' && cell.getBoundingClientRect().right > wide) faults.push('KLD is out of sight');
  for (const word of document.querySelectorAll('pre span'))
    if (word.getClientRects().length > 1) faults.push(`${name(word)} is broken over lines`);
  const parse = (c) => c.match(/[\d.]+/g).map(Number);
  const luminance = (c) => {
    const [r, g, b] = parse(c).map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const c = getComputedStyle(e).backgroundColor;
      if (parse(c)[3] !== 0) return c;
    }
    return 'rgb(255, 255, 255)';
  };
  const seen = new Set();
  for (const e of document.querySelectorAll('p, dt, dd, td, th, a, b, mark, code, summary, h1, h2, h3, .verdict, text')) {
    const style = getComputedStyle(e);
    const ink = e.tagName === 'text' ? style.fill : style.color;
    const [a, b] = [luminance(ink), luminance(behind(e))].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < 4.5 && !seen.has(ink + behind(e))) {
      seen.add(ink + behind(e));
      faults.push(`${name(e)}: ${ink} on ${behind(e)} has a contrast of ${contrast.toFixed(2)}`);
    }
  }
  return faults;
}
"""


def check(browser, path, width, scheme):
    """What is wrong with a page at this width."""
    faults = []
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
    )
    page = context.new_page()
    url = path.resolve().as_uri()
    page.on("console", lambda message: faults.append(f"console: {message.type}: {message.text}"))
    page.on("pageerror", lambda error: faults.append(f"error: {error}"))

    def asked(request):
        # What is in the page itself is asked for of nobody.
        if request.url != url and not request.url.startswith("data:"):
            faults.append(f"asks for {request.url}")

    page.on("request", asked)
    page.goto(url)
    faults += page.evaluate(FAULTS)
    if SHOTS != "-":
        page.screenshot(path=f"{SHOTS}/{path.stem}-{width}-{scheme}.png", full_page=True)
    page.evaluate("document.querySelectorAll('details').forEach((e) => { e.open = true })")
    faults += [f"all open: {fault}" for fault in page.evaluate(FAULTS) if "wide in a" in fault]
    if width == 1600 and scheme == "light":
        page.evaluate("document.querySelectorAll('details').forEach((e) => { e.open = false })")
        page.emulate_media(media="print")
        hidden = "[...document.querySelectorAll('details td')].filter((e) => !e.checkVisibility()).length"
        if count := page.evaluate(hidden):
            faults.append(f"{count} cells are not printed")
        pdf = page.pdf(format="A4")
        if not pdf.startswith(b"%PDF") or len(pdf) < 4000:
            faults.append("it does not print")
        if SHOTS != "-":
            Path(f"{SHOTS}/{path.stem}.pdf").write_bytes(pdf)
    context.close()
    return faults


def main():
    failed = False
    with sync_playwright() as playwright:
        # In a container there are no namespaces to build a sandbox of, nor much of /dev/shm.
        args = ["--no-sandbox", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=args)
        for path in map(Path, PAGES):
            for width in (400, 1600):
                for scheme in ("light", "dark"):
                    for fault in check(browser, path, width, scheme):
                        failed = True
                        print(f"{path.name} at {width}, {scheme}: {fault}")
        browser.close()
    print(f"{len(PAGES)} pages opened")
    sys.exit(failed)


main()
