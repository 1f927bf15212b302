"""Requests that no honest client sends, byte by byte."""

from __future__ import annotations

import json

INNER = b"GET /inner HTTP/1.1\r\nHost: a\r\nX-Request-ID: inner\r\n\r\n"
"""The request that is smuggled, if anything is: whoever sees its id has been deceived."""


def marked(raw: bytes, number: int) -> tuple[bytes, str]:
    """The same bytes with another id in the request inside, and that id."""
    name = f"i{number:04}"
    return raw.replace(b"X-Request-ID: inner", b"X-Request-ID: " + name.encode()), name


_CHUNK = b"%x\r\n%b\r\n0\r\n\r\n" % (len(INNER), INNER)


def post(headers: bytes, body: bytes = b"") -> bytes:
    """A POST /predict with those header lines."""
    head = b"POST /predict HTTP/1.1\r\nHost: a\r\nX-Request-ID: outer\r\n"
    return head + headers + b"\r\n\r\n" + body


def get(path: bytes = b"/nowhere", headers: bytes = b"X: y", version: bytes = b"HTTP/1.1") -> bytes:
    """A GET with those header lines."""
    return b"GET " + path + b" " + version + b"\r\nHost: a\r\n" + headers + b"\r\n\r\n"


def _length(value: object, body: bytes = b"") -> bytes:
    return post(b"Content-Length: %b" % str(value).encode(), body)


def _te(line: bytes, length: int | None = None, body: bytes = b"0\r\n\r\n" + INNER) -> bytes:
    """A body whose end two parsers may see in two places."""
    size = len(body) if length is None else length
    return post(b"Content-Length: %d\r\n" % size + line, body)


SMUGGLED: dict[str, bytes] = {
    "CL.TE": _te(b"Transfer-Encoding: chunked"),
    "CL.TE the other way round": post(
        b"Transfer-Encoding: chunked\r\nContent-Length: %d" % (len(INNER) + 5), b"0\r\n\r\n" + INNER
    ),
    "TE.CL": _te(b"Transfer-Encoding: chunked", 4, _CHUNK),
    "TE.0": _te(b"Transfer-Encoding: chunked", 0, _CHUNK),
    "a wrong coding": _te(b"Transfer-Encoding: xchunked"),
    "a coding and another": _te(b"Transfer-Encoding: chunked, identity"),
    "another and a coding": _te(b"Transfer-Encoding: identity, chunked"),
    "two codings": _te(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x"),
    "a space before the colon": _te(b"Transfer-Encoding : chunked"),
    "a tab after the colon": _te(b"Transfer-Encoding:\tchunked"),
    "a vertical tab": _te(b"Transfer-Encoding: \x0bchunked"),
    "quotes": _te(b'Transfer-Encoding: "chunked"'),
    "a folded line": _te(b"X: y\r\n Transfer-Encoding: chunked"),
    "a folded value": _te(b"Transfer-Encoding:\r\n chunked"),
    "a folded name": _te(b"Transfer-Encoding\r\n : chunked"),
    "a bare LF": _te(b"X: y\nTransfer-Encoding: chunked"),
    "a bare CR": _te(b"X: y\rTransfer-Encoding: chunked"),
    "an underscore": _te(b"Transfer_Encoding: chunked"),
    "a NUL in the name": _te(b"Transfer-Encoding\0: chunked"),
    "no colon": _te(b"Transfer-Encoding chunked"),
    "two lengths": post(b"Content-Length: 0\r\nContent-Length: %d" % len(INNER), INNER),
    "two lengths, the large one first": post(
        b"Content-Length: %d\r\nContent-Length: 0" % len(INNER), INNER
    ),
    "the same length twice": post(b"Content-Length: 5\r\nContent-Length: 5", b"photo" + INNER),
    "a list of lengths": _length("0, 5", INNER),
    "a length with a plus": _length("+0", INNER),
    "a negative length": _length("-1", INNER),
    "a hexadecimal length": _length("0x0", INNER),
    "a length that overflows": _length(2**64, INNER),
    "a length with a space in it": _length("0 5", INNER),
    "an empty length": _length("", INNER),
    "a length with a space before the colon": post(b"Content-Length : 0", INNER),
    "a length in an underscore": post(
        b"Content_Length: 0\r\nContent-Length: %d" % len(INNER), INNER
    ),
    "a chunk that is none": post(b"Transfer-Encoding: chunked", b"zz\r\n" + INNER),
    "a chunk that overflows": post(b"Transfer-Encoding: chunked", b"f" * 17 + b"\r\n" + INNER),
    "chunks in HTTP/1.0": post(b"Transfer-Encoding: chunked", _CHUNK).replace(b"/1.1", b"/1.0", 1),
    "an announced upgrade": post(b"Upgrade: h2c\r\nContent-Length: %d" % len(INNER), INNER),
}

LENIENT = post(b"Transfer-Encoding: chunked", b"0\n\n" + INNER)
"""nginx takes a bare LF for the end of the chunks, and what follows for the next request."""
UNENDING = ("HTTP/0.9", "a TLS hello", "bare LFs", "bare CRs")
"""Some servers wait for more of these."""
ODD: dict[str, bytes] = {
    "HTTP/0.9": b"GET /nowhere\r\n",
    "HTTP/2 without TLS": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/9": get(version=b"HTTP/9.9"),
    "no version": get(version=b"HTTP/"),
    "garbage": bytes(range(256)) * 4 + b"\r\n\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(508),
    "no host": b"GET /nowhere HTTP/1.1\r\nX: y\r\n\r\n",
    "two hosts": get(headers=b"Host: b"),
    "a host of many": get(headers=b"X: y").replace(b"Host: a", b"Host: a b/c"),
    "a long host": get(headers=b"X: y").replace(b"Host: a", b"Host: " + b"a" * 7000),
    "absolute form": get(b"http://127.0.0.1:22/nowhere"),
    "another's absolute form": get(b"http://169.254.169.254/latest/"),
    "CONNECT": b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: a\r\n\r\n",
    "a method of its own": b"BREW /nowhere HTTP/1.1\r\nHost: a\r\n\r\n",
    "a long method": b"A" * 9000 + b" / HTTP/1.1\r\nHost: a\r\n\r\n",
    "a method in lower case": b"get /nowhere HTTP/1.1\r\nHost: a\r\n\r\n",
    "a NUL in the path": get(b"/no\0where"),
    "an encoded NUL": get(b"/no%00where"),
    "half an escape": get(b"/no%2"),
    "a path upwards": get(b"/../../etc/passwd"),
    "an encoded path upwards": get(b"/static/%2e%2e/%2e%2e/etc/passwd"),
    "a static path upwards": get(b"/static/..%2f..%2fsettings.py"),
    "a long path": get(b"/" + b"a" * 60_000),
    "a long query": get(b"/predict?url=" + b"a" * 60_000),
    "ten thousand options": get(b"/predict?" + b"&".join(b"a%d=" % n for n in range(1000))),
    "a header of NUL": get(headers=b"X: a\0b"),
    "a header of control characters": get(headers=b"X: \x01\x1f\x7f"),
    "a header without a name": get(headers=b": y"),
    "a header without a colon": get(headers=b"xyz"),
    "a folded header": get(headers=b"X: y\r\n z"),
    "a space before a colon": get(headers=b"X : y"),
    "bare LFs": get().replace(b"\r\n", b"\n"),
    "bare CRs": get().replace(b"\r\n", b"\r"),
    "ten thousand headers": get(headers=b"\r\n".join(b"X-%d: y" % n for n in range(10_000))),
    "a header of a megabyte": get(headers=b"X: " + b"y" * 1_000_000),
    "a header name of a megabyte": get(headers=b"X" * 1_000_000 + b": y"),
    "thousands of ranges": get(headers=b"Range: bytes=" + b"0-1," * 1000 + b"0-1"),
    "an Accept of a thousand kinds": get(
        b"/predict?url=http://10.0.0.1/", b"Accept: " + b"a/b;q=0.1," * 700 + b"c/d"
    ),
    "an Accept that is none": get(b"/predict?url=http://10.0.0.1/", b"Accept: \xff/;;q=nan,,*"),
    "an unknown expectation": post(b"Expect: a miracle\r\nContent-Length: 5", b"photo"),
    "an Expect without a body": post(b"Expect: 100-continue\r\nContent-Length: 0"),
    "a coding of the body": post(b"Content-Encoding: gzip\r\nContent-Length: 5", b"photo"),
    "a body of a GET": get(headers=b"Content-Length: %d" % len(INNER)) + INNER,
    "a trailer": post(b"TE: trailers\r\nTrailer: X\r\nContent-Length: 5", b"photo"),
}


def _form(boundary: bytes, body: bytes) -> tuple[bytes, bytes]:
    return b"multipart/form-data" + boundary, body


def _part(headers: bytes, content: bytes = b"x") -> bytes:
    return b"--b\r\n" + headers + b"\r\n\r\n" + content + b"\r\n"


_FIELD = b'Content-Disposition: form-data; name="%b"'
_FILE = _FIELD % b"image" + b'; filename="a.jpg"'
_END = b"--b--\r\n"
_JSON = b"application/json"

BODIES: dict[str, tuple[bytes, bytes]] = {
    "a form without a boundary": _form(b"", _part(_FILE) + _END),
    "an empty boundary": _form(b"; boundary=", _part(_FILE) + _END),
    "a boundary that never comes": _form(b"; boundary=c", _part(_FILE) + _END),
    "a boundary of spaces": _form(b'; boundary="   "', _part(_FILE) + _END),
    "a boundary of 7,000 characters": _form(b"; boundary=" + b"b" * 7000, b"--b"),
    "a form that does not end": _form(b"; boundary=b", _part(_FILE)),
    "a form that is only its end": _form(b"; boundary=b", _END),
    "20,000 parts": _form(b"; boundary=b", _part(_FIELD % b"a") * 20_000 + _END),
    "20,000 files": _form(b"; boundary=b", _part(_FILE) * 20_000 + _END),
    "a part without an end of its headers": _form(
        b"; boundary=b", b"--b\r\n" + b"X: y\r\n" * 99_999
    ),
    "a part without headers": _form(b"; boundary=b", b"--b\r\n\r\nx\r\n" + _END),
    "a name of a megabyte": _form(b"; boundary=b", _part(_FIELD % (b"a" * 1_000_000)) + _END),
    "a name that does not end": _form(
        b"; boundary=b", b'--b\r\nContent-Disposition: form-data; name="' + b"a" * 5_000_000
    ),
    "a file name of a megabyte": _form(
        b"; boundary=b", _part(_FIELD % b"image" + b'; filename="' + b"a" * 1_000_000 + b'"') + _END
    ),
    "a file name upwards": _form(
        b"; boundary=b", _part(_FIELD % b"image" + b'; filename="../../etc/passwd"') + _END
    ),
    "an odd charset": _form(
        b"; boundary=b",
        _part(_FIELD % b"model" + b"\r\nContent-Type: text/plain; charset=zlib") + _END,
    ),
    "a form in a form": _form(
        b"; boundary=b",
        _part(_FILE + b"\r\nContent-Type: multipart/mixed; boundary=b", _END) + _END,
    ),
    "a text of 20 MB": _form(b"; boundary=b", _part(_FIELD % b"image", bytes(20_000_000)) + _END),
    "nothing but hyphens": _form(b"; boundary=b", b"-" * 2_000_000),
    "nothing but boundaries": _form(b"; boundary=b", b"\r\n--b" * 500_000),
    "nothing but line ends": _form(b"; boundary=b", b"--b\r\n" + b"\r" * 2_000_000),
    "JSON 1,000 levels deep": (_JSON, b'{"image":' * 1000 + b"1" + b"}" * 1000),
    "JSON 100,000 levels deep": (_JSON, b"[" * 100_000 + b"]" * 100_000),
    "an option 100,000 levels deep": (_JSON, b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "JSON of 200,000 keys": (_JSON, json.dumps({str(n): n for n in range(200_000)}).encode()),
    "JSON that is a string": (_JSON, b'"' + b"a" * 5_000_000 + b'"'),
    "a number of 100,000 digits": (_JSON, b'{"max_faces": ' + b"9" * 100_000 + b"}"),
    "JSON in UTF-16": (_JSON, '{"image": "AAAA"}'.encode("utf-16")),
    "JSON with a mark": (_JSON, b'\xef\xbb\xbf{"image": "AAAA"}'),
    "base64 of nothing but padding": (_JSON, b'{"image": "' + b"=" * 4_000_000 + b'"}'),
    "a data: of nothing": (_JSON, b'{"image": "data:image/png;base64,"}'),
    "a lone surrogate": (_JSON, b'{"image": "AAAA", "\\ud800": "\\udfff"}'),
    "no JSON": (_JSON, b"\x00\x01"),
    "a form as text": (b"application/x-www-form-urlencoded", b"a=b&" * 500_000),
    "an unknown type": (b"a" * 4000 + b"/b", b"photo"),
    "a type of control characters": (b"image/\x01jpeg", b"photo"),
    "XML that includes a file": (
        b"application/xml",
        b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
    ),
}

for _option in ("max_faces", "min_confidence", "format", "model"):
    for _value in ("[]", "[1]", "{}", '{"a": 1}', "null", "true", "NaN", "-Infinity", "1e999",
                   "-1", "[[[[1]]]]", '"NaN"', '"\\u0000"', '"1\\r\\nX: y"'):  # fmt: skip
        if (_option, _value) != ("min_confidence", "null"):
            BODIES[f"{_option} as {_value}"] = (
                _JSON,
                b'{"image": "AAAA", "%b": %b}' % (_option.encode(), _value.encode()),
            )
