"""A page from a template, and the same as JSON."""

from typing import Any

from flask import Flask, render_template

app = Flask(__name__)
PRICES = {"apple": 30, "pear": 45}


@app.get("/")
def page() -> str:
    """The price list."""
    return render_template("prices.html", prices=PRICES)


@app.get("/prices/<fruit>")
def price(fruit: str) -> Any:
    """What a fruit costs."""
    if fruit not in PRICES:
        return {"error": f"no {fruit} today"}, 404
    return {"fruit": fruit, "cents": PRICES[fruit]}
