// A site with express-session and csurf: node app.js <port> <secret>. /poll
// answers once the file that it is given is there.
const fs = require("fs");
const express = require("express");
const session = require("express-session");
const csurf = require("csurf");

const [port, secret] = process.argv.slice(2);
const app = express();
app.use(express.urlencoded({ extended: false }));
app.use(require("cookie-parser")());
app.use(session({ secret, resave: false, saveUninitialized: false, rolling: true }));
app.use(csurf({ cookie: true }));

app.get("/", (req, res) => {
  req.session.views = (req.session.views || 0) + 1;
  const token = `<input type="hidden" name="_csrf" value="${req.csrfToken()}">`;
  res.send(`<!DOCTYPE html><title>Express</title><p id="user">${req.session.user || ""}</p>
<form method="post" action="login">${token}<input name="user"><input name="password" type="password"><button>Sign in</button></form>
<form method="post" action="logout">${token}<button>Sign out</button></form>`);
});

app.post("/login", (req, res, next) => {
  const { user, password } = req.body;
  if (password !== user + "-Kept-Secret-7") return res.status(401).send("no");
  req.session.regenerate((err) => {
    if (err) return next(err);
    req.session.user = user;
    res.redirect("./");
  });
});

app.post("/logout", (req, res, next) => {
  req.session.destroy((err) => (err ? next(err) : res.clearCookie("connect.sid").redirect("./")));
});

app.get("/poll", (req, res) => {
  req.session.polls = (req.session.polls || 0) + 1;
  fs.writeFileSync(req.query.file + ".began", "");
  const look = () => (fs.existsSync(req.query.file) ? res.send("polled") : setTimeout(look, 5));
  look();
});

app.listen(Number(port), "127.0.0.1");
