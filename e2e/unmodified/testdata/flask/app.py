"""A site with Flask-Login: python3 app.py <port> <secret>. /poll answers once
the file that it is given is there."""

import os
import sys
import time

from flask import Flask, redirect, request, session, url_for
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from werkzeug.middleware.proxy_fix import ProxyFix

app = Flask(__name__)
app.secret_key = sys.argv[2]
app.wsgi_app = ProxyFix(app.wsgi_app, x_prefix=1)
manager = LoginManager(app)


class User(UserMixin):
    def __init__(self, name):
        self.id = name


@manager.user_loader
def load(name):
    return User(name)


@app.get("/")
def index():
    session["views"] = session.get("views", 0) + 1
    name = current_user.id if current_user.is_authenticated else ""
    return f"""<!DOCTYPE html><title>Flask</title><p id="user">{name}</p>
<form method="post" action="{url_for("login")}"><input name="user"><input name="password" type="password"><button>Sign in</button></form>
<form method="post" action="{url_for("logout")}"><button>Sign out</button></form>"""


@app.post("/login")
def login():
    name = request.form["user"]
    if request.form["password"] != name + "-Kept-Secret-7":
        return "no", 401
    login_user(User(name), remember="remember" in request.form)
    return redirect(url_for("index"))


@app.post("/logout")
def logout():
    logout_user()
    return redirect(url_for("index"))


@app.get("/poll")
def poll():
    session["polls"] = session.get("polls", 0) + 1
    open(request.args["file"] + ".began", "w").close()
    while not os.path.exists(request.args["file"]):
        time.sleep(0.005)
    return "polled"


app.run(port=int(sys.argv[1]), threaded=True)
