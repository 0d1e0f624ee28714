"""Every error as JSON: what was wrong, and what to do."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from ecomine.errors import DeploymentError, EcomineError, MissingInputError
from ecomine.serving.keys import KeyMissingError, KeyScopeError


class Problem(BaseModel):
    """What an answer with a status of 400 or more says."""

    error: str = Field(description="what was wrong")
    hint: str = Field(description="what to do about it")


class BadRequestError(EcomineError):
    """A request that is well formed but asks for what cannot be given."""

    def __init__(self, error: str, hint: str) -> None:
        super().__init__(error)
        self.hint = hint


PROBLEMS: dict[int | str, dict[str, Any]] = {
    422: {"model": Problem, "description": "The request cannot be answered as it is"},
    503: {"model": Problem, "description": "Nothing is deployed, or the online store is empty"},
}
"""For the OpenAPI page of every route."""

_AS_JSON = {"application/json": {"schema": {"$ref": f"#/components/schemas/{Problem.__name__}"}}}

REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"content": _AS_JSON, "description": "No key, or one that is not known or has expired"},
    403: {"content": _AS_JSON, "description": "The key is for other addresses"},
}
"""For the OpenAPI page of every route that needs a key."""


PARAMETERS = "See /docs for the parameters of this address and the values they take."


def install(app: FastAPI) -> None:
    """Have the app answer all errors in the same form."""

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        # The values themselves are left out: they may name a person.
        said = "; ".join(f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors())
        # A name in the body may hold half of a character, which no answer can be written with.
        said = said.encode(errors="replace").decode()
        return problem(422, said, PARAMETERS)

    @app.exception_handler(BadRequestError)
    def bad(request: Request, error: BadRequestError) -> JSONResponse:
        return problem(422, str(error), error.hint)

    @app.exception_handler(DeploymentError)
    @app.exception_handler(MissingInputError)
    def absent(request: Request, error: EcomineError) -> JSONResponse:
        hint = "Run `ecomine run`, or `ecomine deploy DOMAIN`; this server notices without a restart."
        return problem(503, str(error), hint)

    @app.exception_handler(KeyMissingError)
    def unnamed(request: Request, error: EcomineError) -> JSONResponse:
        return problem(401, str(error), "Send it as X-API-Key; the shop's operator makes one: `ecomine key create`.")

    @app.exception_handler(KeyScopeError)
    def outside(request: Request, error: EcomineError) -> JSONResponse:
        return problem(403, str(error), "Ask the shop's operator for a key of this scope.")

    @app.exception_handler(EcomineError)
    def unable(request: Request, error: EcomineError) -> JSONResponse:
        hint = "The deployed version does not fit what is online; run the road again, or `ecomine rollback DOMAIN`."
        return problem(503, str(error), hint)

    @app.exception_handler(HTTPException)
    def other(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 400:  # a body that is no text, or nested too deep: as one that is no JSON
            return problem(422, str(error.detail), PARAMETERS)
        hint = "The addresses that exist are listed at /docs." if error.status_code == 404 else "See /docs."
        return problem(error.status_code, str(error.detail), hint, error.headers)

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> JSONResponse:
        return problem(500, "The server failed to answer.", "Look for this request's X-Request-ID in the server's log.")


def problem(status: int, error: str, hint: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse(Problem(error=error, hint=hint).model_dump(), status, dict(headers) if headers else None)
