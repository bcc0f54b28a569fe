"""Which web pages may make a browser change something: those that the service itself has served."""

from typing import Final

from ledger.runtime.problems import CROSS_ORIGIN
from ledger.runtime.request.head import RequestHead
from ledger.runtime.sockets import is_address

#: What changes nothing (RFC 9110, 9.2.1), and without CORS shows a page of another origin nothing either.
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


def refuse_other_origins(head: RequestHead) -> None:
    """Refuse a change that a page of another origin makes a browser send: raises ProblemError of status 403.

    A browser says where a change comes from: in Origin (WHATWG, "Fetch", 3.2), and in Sec-Fetch-Site (W3C, "Fetch
    Metadata") to hosts that it trusts. What sends neither is no browser. By DNS rebinding, a name of the attacker's may
    lead here, and then its page is of our own origin; only an address and localhost cannot be made to.
    """
    site, origin = head.field("Sec-Fetch-Site"), head.field("Origin")
    if head.method in _SAFE or (site is None and origin is None):
        return
    host = (head.field("Host") or "").lower()
    ours = origin is None or origin.lower() in (f"http://{host}", f"https://{host}")
    if site not in (None, "same-origin", "none") or not ours or not is_address(host):
        raise CROSS_ORIGIN.of()
