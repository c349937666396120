"""The size of what is sent: counted while it comes in, and refused in words beyond the limit."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from m3h.serve.limits import Limits, Refusal, size


class BodyLimit:
    """Raises a Refusal (413) in whatever reads a body that is larger than ``limits`` allow, or says it is."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self.app, self.limits = app, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        said = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
        announced = int(said) if said.isdigit() and len(said) < 20 else 0
        come = 0

        async def counted() -> Message:
            nonlocal come
            if announced > self.limits.body:
                raise self._refusal()
            message = await receive()
            come += len(message.get("body", b""))
            if come > self.limits.body:
                raise self._refusal()
            return message

        await self.app(scope, counted, send)

    def _refusal(self) -> Refusal:
        return Refusal(
            "what was sent is too large",
            status=413,
            expected=f"at most {size(self.limits.body)}",
            next_step="send fewer patients at once, or start m3h serve with a larger --limit",
        )
