// Shows the OpenAPI document with Redoc.
"use strict";

// Redoc shows its maker's logo from another host, and has no option against it. Such a picture is
// not asked for: it counts as one that could not be loaded, which Redoc then leaves out.
const src = Object.getOwnPropertyDescriptor(HTMLImageElement.prototype, "src");

Object.defineProperty(HTMLImageElement.prototype, "src", {
  ...src,
  set(value) {
    const url = new URL(value, location.href);
    if (url.protocol === "data:" || url.host === location.host) {
      src.set.call(this, value);
    } else {
      setTimeout(() => this.dispatchEvent(new Event("error")));
    }
  },
});

HTMLImageElement.prototype.setAttribute = function (name, value) {
  if (name === "src") {
    this.src = value;
  } else {
    Element.prototype.setAttribute.call(this, name, value);
  }
};

const place = document.getElementById("docs");

Redoc.init(place.dataset.schema, { hideDownloadButton: false, nativeScrollbars: true }, place);
