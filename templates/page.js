// Keeps the page as the agent sees the cluster: it replaces the parts that changed and says so when the agent is silent.
(() => {
  "use strict";
  const silence = 6000, again = 10000;
  const lost = document.getElementById("lost");
  const looked = document.getElementById("looked");
  const live = document.getElementById("live");
  let heard = Date.now(), source = null;

  // The sentence stays the same element: it is read aloud when its text changes, and only then.
  const renew = (old, next) => {
    if (old.isEqualNode(next)) return;
    if (old.id === "sentence") old.textContent = next.textContent;
    else old.replaceWith(next);
  };
  const show = html => {
    const main = document.getElementById("main");
    const next = new DOMParser().parseFromString(html, "text/html").getElementById("main");
    if (next.dataset.version !== main.dataset.version) return location.reload();
    const kept = new Map([...main.children].map(part => [part.id, part]));
    let before = null;
    for (const part of [...next.children]) {
      const old = kept.get(part.id);
      kept.delete(part.id);
      if (old) renew(old, part);
      else if (before) before.after(part);
      else main.prepend(part);
      before = document.getElementById(part.id);
    }
    for (const gone of kept.values()) gone.remove();
    document.title = main.dataset.title = next.dataset.title;
  };
  const hear = () => {
    heard = Date.now();
    if (!lost.hidden) {
      lost.hidden = true;
      document.documentElement.classList.remove("lost");
      document.title = document.getElementById("main").dataset.title;
    }
    live.textContent = "live";
  };
  const listen = () => {
    source = new EventSource("/events");
    source.addEventListener("page", event => { hear(); show(event.data); });
    source.addEventListener("beat", event => { hear(); looked.textContent = event.data; });
  };
  setInterval(() => {
    const quiet = Date.now() - heard;
    if (quiet > silence && lost.hidden) {
      lost.hidden = false;
      document.documentElement.classList.add("lost");
      document.title = "? not known · hypertide";
      live.textContent = "";
    }
    // A browser gives up for good on an answer that is no stream, such as 503.
    if (source.readyState === EventSource.CLOSED && quiet % again < 1000) listen();
  }, 1000);
  listen();
})();
