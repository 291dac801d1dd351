// Shows the OpenAPI document with Swagger UI. Whoever is logged in tries requests as themselves.
"use strict";

const place = document.getElementById("docs");
const SAFE = ["GET", "HEAD", "OPTIONS"];

function cookie(name) {
  const found = document.cookie.split("; ").find((each) => each.startsWith(name + "="));
  return found === undefined ? null : decodeURIComponent(found.slice(name.length + 1));
}

SwaggerUIBundle({
  domNode: place,
  url: place.dataset.schema,
  deepLinking: true,
  docExpansion: "list",
  filter: true,
  validatorUrl: null,
  requestInterceptor(request) {
    request.headers["Accept-Language"] = place.dataset.language;
    const token = cookie(place.dataset.csrfCookie);
    const here = new URL(request.url, location.href).origin === location.origin;
    if (token && here && !SAFE.includes((request.method || "GET").toUpperCase())) {
      request.headers["X-CSRFToken"] = token;
    }
    return request;
  },
});
