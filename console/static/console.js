// Live parts: fetched again every two seconds while the tab is seen. Everything works without this file, but for that.
"use strict";

const PERIOD = 2000;

async function refresh(part) {
  const answer = await fetch(part.dataset.live, { headers: { Accept: "text/html" } });
  if (answer.redirected) {
    location.reload(); // The session has ended.
  } else if (answer.ok && !part.contains(document.activeElement)) {
    const opened = [...part.querySelectorAll("details[open]")].map((each) => each.id);
    part.innerHTML = await answer.text();
    for (const each of part.querySelectorAll("details")) {
      each.open = opened.includes(each.id);
    }
  }
}

async function follow(part) {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, PERIOD));
    if (!document.hidden) {
      try {
        await refresh(part);
        part.classList.remove("stale");
      } catch {
        part.classList.add("stale"); // The console does not answer; what is shown is old.
      }
    }
  }
}

document.querySelectorAll("[data-live]").forEach(follow);

for (const form of document.querySelectorAll("[data-slider]")) {
  const slider = form.querySelector("input[type=range]");
  slider.addEventListener("input", () => (form.querySelector("output").value = slider.value));
  slider.addEventListener("change", () => form.requestSubmit());
}
