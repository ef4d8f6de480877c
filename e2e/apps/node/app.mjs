// An app with sessions and no library: node app.mjs [port]
//
// What it knows of its visitor came in the header Session-Data; what it wants
// remembered it answers in Session-Patch and its like.

import { createServer } from "node:http";

// Headers are not the place for characters beyond ASCII: write them as \uXXXX.
const ascii = (value) =>
  JSON.stringify(value).replace(/[\u007f-\uffff]/g, (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));

const call = async (url, method, value) => {
  const answer = await fetch(url, { method, body: value === undefined ? undefined : JSON.stringify(value) });
  return answer.json();
};

const server = createServer(async (request, response) => {
  const session = JSON.parse(request.headers["session-data"]);
  const { pathname, searchParams: query } = new URL(request.url, "http://app");
  let body = "ok";

  switch (pathname) {
    case "/": {
      const visits = (session.visits ?? 0) + 1;
      response.setHeader("Session-Patch", ascii({ visits }));
      body = `visit ${visits}`;
      break;
    }
    case "/add":
      response.setHeader("Session-Add", ascii({ clicks: 1 }));
      break;
    case "/set":
      response.setHeader("Session-Patch", ascii({ [query.get("k")]: query.get("v") }));
      break;
    case "/login":
      response.setHeader("Session-Principal", ascii(query.get("user")));
      break;
    case "/logout":
      response.setHeader("Session-Action", "destroy");
      break;
    case "/bad":
      response.setHeader("Session-Patch", "this is no JSON");
      break;
    case "/fail":
      response.statusCode = 500;
      response.setHeader("Session-Patch", ascii({ visits: -1 }));
      break;
    case "/endpoint": {
      // The same session, by the URL of this request: staged until the
      // response's headers, which add to it.
      const endpoint = request.headers["session-endpoint"];
      await call(`${endpoint}/data/cart/items`, "PUT", []);
      await call(`${endpoint}/data/cart/items/-`, "PUT", "apple");
      body = JSON.stringify(await call(`${endpoint}/data/cart`, "GET"));
      response.setHeader("Session-Patch", ascii({ ordered: true }));
      break;
    }
    case "/raw": {
      const seen = {};
      for (const [name, value] of Object.entries(request.headers)) {
        if (name.startsWith("session") || name === "cookie") {
          seen["HTTP_" + name.toUpperCase().replaceAll("-", "_")] = value;
        }
      }
      body = JSON.stringify(seen);
      break;
    }
    default:
      response.statusCode = 404;
  }

  response.setHeader("Content-Type", "text/plain; charset=utf-8");
  response.end(body);
});

server.listen(Number(process.argv[2] ?? 3000), "127.0.0.1");
