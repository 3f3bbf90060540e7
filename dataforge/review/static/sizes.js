// Where the window is narrow the labels stay under the thumb: style.css needs the heights of what is above and below them.
const NAMES = { ".bar": "--bar", ".answer": "--panel", ".more": "--below" };

export function measure() {
  for (const [selector, name] of Object.entries(NAMES)) document.body.style.setProperty(name, document.querySelector(selector).offsetHeight + "px");
}

const watched = new ResizeObserver(measure);
for (const selector of Object.keys(NAMES)) watched.observe(document.querySelector(selector));

// To the top, and further only if the text would lie under the buttons.
export function bringIntoView(node) {
  measure();
  scrollTo({ top: 0 });
  node.scrollIntoView({ block: "nearest" });
}
