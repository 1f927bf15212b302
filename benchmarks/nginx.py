"""AttrAI as it is deployed, in a folder of its own: nginx's site and uWSGI's socket."""

from __future__ import annotations

import getpass
import os
import re
import shutil
from pathlib import Path

from benchmarks.processes import Command
from pipeline.settings import ROOT

MAIN = """{user}daemon off;
worker_processes auto;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log alert;
events {{ worker_connections 768; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    scgi_temp_path {folder}/scgi;
    uwsgi_temp_path {folder}/uwsgi;
    sendfile on;
    tcp_nopush on;
    include {folder}/site.conf;
}}
"""
# What nginx's packages put into uwsgi_params.
PARAMETERS = """QUERY_STRING $query_string
REQUEST_METHOD $request_method
CONTENT_TYPE $content_type
CONTENT_LENGTH $content_length
REQUEST_URI $request_uri
PATH_INFO $document_uri
DOCUMENT_ROOT $document_root
SERVER_PROTOCOL $server_protocol
REQUEST_SCHEME $scheme
HTTPS $https if_not_empty
REMOTE_ADDR $remote_addr
REMOTE_PORT $remote_port
SERVER_PORT $server_port
SERVER_NAME $server_name"""


def nginx_program() -> str | None:
    """Where nginx is; None where it is not installed."""
    places = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin"])
    return shutil.which("nginx", path=places)


def nginx(folder: Path, port: int, inner: int) -> Command:
    """deploy/nginx.conf between `port` and the socket in `folder`; the rest of it as it is.

    Raises ValueError where the site has no longer what is to be replaced.
    """
    site = (ROOT / "deploy" / "nginx.conf").read_text()
    for old, new in (
        ("    listen [::]:80;\n", ""),
        ("    listen 80;", f"    listen 127.0.0.1:{port};"),
        ("127.0.0.1:4445", f"127.0.0.1:{inner}"),
        ("/run/attrai/", f"{folder}/"),
        ("/var/log/nginx/", f"{folder}/"),
    ):
        site = _replaced(site, old, new)
    (folder / "site.conf").write_text(site)
    parameters = "".join(f"uwsgi_param {line};\n" for line in PARAMETERS.splitlines())
    (folder / "uwsgi_params").write_text(parameters)
    user = f"user {getpass.getuser()};\n" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(MAIN.format(user=user, folder=folder))
    return Command([nginx_program() or "nginx", "-c", folder / "nginx.conf"], {})


def uwsgi_ini(folder: Path) -> Path:
    """deploy/uwsgi.ini with its socket in `folder`."""
    ini = (ROOT / "deploy" / "uwsgi.ini").read_text()
    ini = _replaced(ini, "/run/attrai/", f"{folder}/")
    ini = re.sub(r"^chdir = .*$", f"chdir = {ROOT}", ini, flags=re.M)
    (folder / "uwsgi.ini").write_text(ini)
    return folder / "uwsgi.ini"


def _replaced(text: str, old: str, new: str) -> str:
    if old not in text:
        raise ValueError(f"the deployment no longer has {old!r}")
    return text.replace(old, new)
