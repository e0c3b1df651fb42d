// Looks at a page as browsers of several widths show it: node look.mjs CLIENT CHROMIUM PAGE SHOTS. One JSON object a width on
// standard output. SHOTS is a folder for pictures, or nothing.

import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [client, executablePath, page, shots] = process.argv.slice(2);
const { chromium } = createRequire(`${client}/`)('playwright-core');

/** Everything that reaches past its page, or past its own box without a way to scroll there. */
function measure() {
  const wide = document.documentElement.clientWidth;
  const name = (element) => `${element.tagName} ${element.className.baseVal ?? element.className}: ${element.textContent.trim().slice(0, 60)}`;
  const scrolls = (element) => element !== null
    && (['auto', 'scroll'].includes(getComputedStyle(element).overflowX) || scrolls(element.parentElement));
  const out = [];
  for (const element of document.body.querySelectorAll('*')) {
    const box = element.getBoundingClientRect();
    if (box.right > wide + 1 && !scrolls(element)) out.push(name(element));
    if (element instanceof SVGTextElement) {
      const picture = element.ownerSVGElement.getBoundingClientRect();
      if (box.left < picture.left - 1 || box.right > picture.right + 1) out.push(name(element));
    }
  }
  const scrolling = [...document.querySelectorAll('.wide')].filter((box) => box.scrollWidth > box.clientWidth + 1).map(name);
  return { wide, page: document.documentElement.scrollWidth, out, scrolling };
}

const browser = await chromium.launch({ executablePath, args: ['--headless', '--no-sandbox', '--disable-gpu'] });
for (const [width, colorScheme] of [[1200, 'light'], [1200, 'dark'], [800, 'light'], [390, 'light']]) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme });
  const tab = await context.newPage();
  await tab.goto(pathToFileURL(page).href);
  console.log(JSON.stringify(await tab.evaluate(measure)));
  if (shots) await tab.screenshot({ path: join(shots, `${width}-${colorScheme}.png`), fullPage: true });
  if (shots && width === 390) await tab.pdf({ path: join(shots, 'paper.pdf'), preferCSSPageSize: true });
  await context.close();
}
await browser.close();
