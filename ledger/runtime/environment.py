"""Which variables of its environment a process sees: Kinfold's, AWS's, and those of the machine and its runtimes.

Libraries read names of their own and put them above our arguments: Faust some eighty (``WEB_BIND``, ``APP_VERSION``),
prometheus_client ``PROMETHEUS_MULTIPROC_DIR``, uvicorn ``WEB_CONCURRENCY``. Whatever else runs on the machine sets such
names too. So the front door removes all but what is listed here, before it imports any of these libraries; children
inherit the rest.
"""

import os
import re
from collections.abc import Mapping
from typing import Final

#: Kinfold; AWS's SDKs; the runtimes: Python, the C library and its loader, OpenSSL, locales.
_PREFIXES: Final = (
    *("KINFOLD_", "AWS_", "BOTO_", "BOTOCORE_", "ECS_"),
    *("PYTHON", "LC_", "LD_", "DYLD_", "MALLOC_", "OPENSSL_"),
)
_NAMES: Final = frozenset(
    {
        # The machine and the person.
        *("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TEMP", "TMP", "VIRTUAL_ENV", "GLIBC_TUNABLES"),
        *("TZ", "TZDIR", "LANG", "LANGUAGE"),
        # The terminal.
        *("TERM", "COLORTERM", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"),
        # Java, for Amazon's KCL.
        *("JAVA_HOME", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"),
        # The way to AWS: certificates and proxies.
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    }
)
#: Names what else is passed on, parted by commas or blanks.
_MORE: Final = "KINFOLD_PASS_ENV"
#: Kubernetes tells each container where the services of its namespace are, and Docker did so for links: a service named
#: kinfold-writer becomes KINFOLD_WRITER_PORT=tcp://10.96.0.12:8080, KINFOLD_WRITER_SERVICE_HOST, and so on.
#: https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
_LINK: Final = re.compile(
    r"KINFOLD_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)=.*"
    r"|KINFOLD_(\w+_)?(PORT=(tcp|udp|sctp)://.*|NAME=/.*|ENV_\w+=.*)",
    re.ASCII | re.DOTALL,
)


def own_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Those variables that a process of ours may see."""
    passed = frozenset(re.split(r"[,\s]+", environment.get(_MORE, "")))
    return {
        name: value
        for name, value in environment.items()
        if (name.startswith(_PREFIXES) or name in _NAMES or name in passed) and not _LINK.fullmatch(f"{name}={value}")
    }


def keep_own_variables() -> None:
    """Remove all others from this process's environment."""
    for name in os.environ.keys() - own_variables(os.environ).keys():
        del os.environ[name]
