"""An area, computed from what was checked first."""

from typing import Annotated

from fastapi import FastAPI, Query
from pydantic import BaseModel

app = FastAPI(title="Areas")
Length = Annotated[float, Query(gt=0)]


class Area(BaseModel):
    """The answer."""

    area: float


@app.get("/area")
async def area(width: Length, height: Length) -> Area:
    """The area of a rectangle."""
    return Area(area=width * height)
