"""How servers are reached, by obstore and by urllib3 alike: time-outs, tries, proxies, certificate authorities.

Both honour HTTP_PROXY, HTTPS_PROXY and NO_PROXY (obstore by itself), and trust, besides the system's certificate
authorities, those in the files that SSL_CERT_FILE, REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE name.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from ..errors import StorageError
from ..forking import drop_in_child
from .base import Patience
from .masking import keep_secret

if TYPE_CHECKING:
    import ssl

    from obstore.store import ClientConfig, RetryConfig
    from urllib3 import PoolManager

__all__ = ["authorities", "client_options", "http_pool", "retry_config"]

_BUNDLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_SYSTEMS = (
    "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
)  # fmt: skip
_CONNECTIONS = 32


def client_options(
    url: str, patience: Patience, headers: Mapping[str, str] | None = None, *, alone: bool = False
) -> ClientConfig:
    """Give obstore's options for a server.

    Parameters
    ----------
    url : str
        The server.
    patience : Patience
        Time-outs.
    headers : mapping, optional
        What goes along with every request.
    alone : bool
        Whether this server is all that is asked, and no other for credentials.
    """
    options: ClientConfig = {
        "allow_http": True,
        "timeout": timedelta(seconds=patience.timeout),
        "connect_timeout": timedelta(seconds=patience.connect_timeout),
    }
    if headers:
        options["default_headers"] = dict(headers)
    secret = headers is not None and "Authorization" in headers
    if alone and not secret and not _is_encrypted(url) and not _proxies_are_encrypted():
        # There is no certificate to check, and to load the system's takes 10 ms of every first read. Where a redirect
        # leads from here to https, who could forge that server's certificate could have forged the redirect.
        options["allow_invalid_certificates"] = True
        return options
    private = [file for file in authorities() if not _known_to_obstore(file)]
    if private:
        options["root_certificate"] = b"\n".join(_certificates(file) for file in private)
    return options


def retry_config(patience: Patience) -> RetryConfig:
    """Give obstore's rules for trying again."""
    return {
        "max_retries": patience.tries - 1,
        "backoff": {
            "init_backoff": timedelta(seconds=patience.pause),
            "max_backoff": timedelta(seconds=patience.longest_pause),
            "base": 2,
        },
        "retry_timeout": timedelta(seconds=min(10.0, patience.timeout)),
    }


def http_pool(url: str) -> PoolManager:
    """Give urllib3's connections for an address, through the proxy that the environment or the system names.

    Raises
    ------
    StorageError
        If the proxy is of a kind that is not known here.
    """
    import urllib.request

    parts = urlsplit(url)
    proxy = ""
    if not urllib.request.proxy_bypass(parts.netloc.rpartition("@")[2]):
        proxies = urllib.request.getproxies()
        proxy = proxies.get(parts.scheme) or proxies.get("all") or ""
    return _pool(proxy, authorities() if any(map(_is_encrypted, filter(None, (url, proxy)))) else None)


def authorities() -> tuple[str, ...]:
    """Give the files, or folders, of certificate authorities that the environment names.

    Raises
    ------
    StorageError
        If one of them is not there.
    """
    named = dict.fromkeys(os.environ[name] for name in _BUNDLES if os.environ.get(name))
    for file in named:
        if not os.path.exists(file):
            name = next(name for name in _BUNDLES if os.environ.get(name) == file)
            raise StorageError(f"the environment variable {name} names {file}, which does not exist")
    return tuple(named)


@lru_cache(maxsize=16)
def _pool(proxy: str, bundles: tuple[str, ...] | None) -> PoolManager:
    from urllib3 import PoolManager, ProxyManager, make_headers

    context = None if bundles is None else _context(bundles)
    if not proxy:
        return PoolManager(maxsize=_CONNECTIONS, ssl_context=context)
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    where = f"{parts.scheme}://{parts.hostname}:{parts.port}" if parts.port else f"{parts.scheme}://{parts.hostname}"
    if parts.scheme not in ("http", "https"):
        raise StorageError(
            f"requests to CAVE cannot go through the proxy {where}: only http:// and https:// proxies are known; "
            "set HTTPS_PROXY to one, or NO_PROXY to the server's name"
        )
    headers = None
    if parts.username is not None:
        keep_secret(unquote(parts.password or ""))
        headers = make_headers(proxy_basic_auth=f"{unquote(parts.username)}:{unquote(parts.password or '')}")
    return ProxyManager(
        where, maxsize=_CONNECTIONS, proxy_headers=headers, ssl_context=context, proxy_ssl_context=context
    )


drop_in_child(_pool.cache_clear)  # two processes must not read from one connection


def _context(bundles: tuple[str, ...]) -> ssl.SSLContext:
    import ssl

    context = ssl.create_default_context()  # OpenSSL reads SSL_CERT_FILE and SSL_CERT_DIR by itself
    for file in bundles:
        if file == ssl.get_default_verify_paths().cafile:
            continue
        try:
            if os.path.isdir(file):
                context.load_verify_locations(capath=file)
            else:
                context.load_verify_locations(cafile=file)
        except (OSError, ssl.SSLError) as error:
            raise StorageError(f"{file} does not hold certificates that can be read: {error}") from None
    return context


def _is_encrypted(url: str) -> bool:
    return not url.startswith("http://")


def _proxies_are_encrypted() -> bool:
    named = (value for name, value in os.environ.items() if name.lower().endswith("_proxy"))
    return any(value.startswith("https://") for value in named)


def _known_to_obstore(file: str) -> bool:
    # On Linux it reads SSL_CERT_FILE, or else the system's bundle; both are long, and reading them twice takes time.
    return sys.platform.startswith("linux") and file in (os.environ.get("SSL_CERT_FILE"), *_SYSTEMS)


@lru_cache(maxsize=8)
def _certificates(file: str) -> bytes:
    path = Path(file)
    try:
        if path.is_dir():
            return b"\n".join(
                one.read_bytes() for one in sorted(path.iterdir()) if one.suffix in (".pem", ".crt", ".0")
            )
        return path.read_bytes()
    except OSError as error:
        raise StorageError(f"{file} does not hold certificates that can be read: {error}") from None
