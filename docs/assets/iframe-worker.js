// Browsers start no worker in a page that is opened as a file, so the search runs in a hidden frame instead.
if (location.protocol === "file:") {
  const load = (frame, url) =>
    new Promise((done, failed) => {
      const script = frame.contentDocument.createElement("script");
      Object.assign(script, { src: new URL(url, location.href).href, onload: done, onerror: failed });
      frame.contentDocument.head.append(script);
    });

  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.frame = Object.assign(document.createElement("iframe"), { hidden: true, srcdoc: "<!doctype html><title>search</title>" });
      this.ready = new Promise((done) => this.frame.addEventListener("load", done, { once: true })).then(() => {
        const inside = this.frame.contentWindow;
        inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
        inside.importScripts = (...urls) => urls.reduce((before, next) => before.then(() => load(this.frame, next)), Promise.resolve());
        return load(this.frame, url);
      });
      document.body.append(this.frame);
    }

    postMessage(data) {
      this.ready.then(() => this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data })));
    }

    terminate() {
      this.frame.remove();
    }
  };
}
