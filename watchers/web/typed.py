"""What a browser sends with a form, within bounds."""

import asyncio
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request

MOST_BYTES = 8 * 1024 * 1024  # a document of 5,000 virtual servers as text
MOST_FIELDS = 2000
WITHIN_S = 30.0


async def typed(request: Request, most_bytes: int = MOST_BYTES) -> dict[str, str]:
    """Return the fields of a form. Raises HTTPException where it is too big, too slow, or no form."""
    body = bytearray()
    try:
        async with asyncio.timeout(WITHIN_S):
            async for piece in request.stream():
                body += piece
                if len(body) > most_bytes:
                    raise HTTPException(413, "this is more than a form of the console holds")
    except TimeoutError:
        raise HTTPException(408, "the form did not arrive in time") from None
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict"))
    except ValueError:
        raise HTTPException(400, "this is not what a form of the console sends") from None
